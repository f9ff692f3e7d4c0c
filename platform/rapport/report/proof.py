"""What this log can prove, now and at the present rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from rapport.evaluation.power import Power, of_candidate, of_halves
from rapport.evaluation.verdict import rows_of
from rapport.report.blocks import Section, Table
from rapport.report.facts import Facts

EFFECT = 0.02
"""Reward units a decision: the gate's margin, and the gain or harm that dates are given for."""
_RATE_DAYS = 28
_OVERALL = "overall"


@dataclass(frozen=True)
class Proof:
    """What each group can show, from which kind of comparison, and when a stated effect shows."""

    powers: Sequence[Power]
    off_policy: bool
    """Whether propensities let the log judge a policy; else an experiment would be needed."""
    effect: float
    dates: Sequence[datetime | None]
    """By group, none where the present rate never gets there."""
    rates: Sequence[float | None]
    """Decisions a day with feedback, by group; none where the log names no times."""


def proof_of(facts: Facts, effect: float = EFFECT) -> Proof | None:
    """What the log of a home can prove; none where nothing came back for anything yet."""
    powers, off_policy = _powers(facts)
    if not powers:
        return None
    last, rate = _rate(facts)
    everyone = max(powers, key=lambda power: power.n).n
    rates = [None if rate is None else rate * power.n / everyone for power in powers]
    dates = [
        power.decidable(effect, since=last, per_day=per_day) if per_day is not None else None
        for power, per_day in zip(powers, rates, strict=True)
    ]
    return Proof(powers, off_policy, effect, dates, rates)


def prove(facts: Facts) -> Section:
    """The page's opening."""
    title = "What this log can prove"
    found = proof_of(facts)
    if found is None:
        return Section(title, ["Nothing yet: no decision has feedback of at least two users."])
    return Section(title, _lead(found), [_table(found)])


def _powers(facts: Facts) -> tuple[list[Power], bool]:
    if facts.verdict is not None:
        return of_candidate(rows_of(facts.verdict)), True
    data = facts.data
    if data is None or len(np.unique(data.user[data.reported])) < 2:
        return [], False
    data = data.rows(data.reported)
    groups = {_OVERALL: np.ones(len(data), dtype=bool)}
    groups |= {f"persona/{name}": data.persona == name for name in data.layout.personas}
    return [
        of_halves(name, data.reward[rows], data.user[rows])
        for name, rows in groups.items()
        if len(np.unique(data.user[rows])) >= 2
    ], False


def _rate(facts: Facts) -> tuple[datetime, float | None]:
    """The log's last moment, and gate users' answered decisions a day lately.

    None where no decision has a time of its own: made-up times tell no rate.
    """
    rows = facts.events("decisions", "ts", "ts_source")
    times = rows.filter(pl.col("ts_source") != "estimated")["ts"]
    last = times.max()
    if not isinstance(last, datetime):
        return datetime.now(UTC), None
    recent = times.filter(times >= last - timedelta(days=_RATE_DAYS))
    first = recent.min()
    assert isinstance(first, datetime)
    days = max((last - first).total_seconds() / 86_400, 1.0)
    judged = facts.gate
    share = float(judged.reported.sum()) / max(len(times), 1) if judged is not None else 1.0
    return last, len(recent) / days * share


def _lead(found: Proof) -> list[str]:
    overall = next((p for p in found.powers if p.group == _OVERALL), found.powers[0])
    sure = [name for name, date in _decided(found)]
    lead = [
        f"A gain or harm of {overall.detectable:.3f} reward units a decision, on average over "
        f"everybody, shows in four cases of five (n {overall.n:,}, {overall.users:,} users). "
        "Rewards run from -1 to 1."
    ]
    if found.off_policy:
        lead.append(
            "These are the figures of policies as far from the log as the last candidate; one that "
            "changes less shows with fewer decisions."
        )
    else:
        lead.append(
            "No policy was judged yet, so these are the figures of an experiment that answers "
            "one half of such users differently; the log alone judges policies only where it "
            "holds propensities."
        )
    lead.append(
        f"A change of {found.effect:g} shows already for: {', '.join(sure)}."
        if sure
        else f"A change of {found.effect:g} shows for no group yet."
    )
    return lead


def _decided(found: Proof) -> list[tuple[str, datetime]]:
    return [
        (power.group, date)
        for power, date in zip(found.powers, found.dates, strict=True)
        if date is not None and power.detectable <= found.effect
    ]


def _table(found: Proof) -> Table:
    return Table(
        "Smallest true gain or harm that shows in 80 % of cases (one-sided 95 % bound, "
        f"resampled by user), and when {found.effect:g} does at the present rate",
        ("group", "n", "users", "detectable", f"n for {found.effect:g}", "a day", "decidable"),
        [
            (
                power.group,
                power.n,
                power.users,
                f"±{power.detectable:.3f}",
                power.needed(found.effect),
                "-" if rate is None else f"{rate:.1f}",
                _when(power, date, rate, found.effect),
            )
            for power, date, rate in zip(found.powers, found.dates, found.rates, strict=True)
        ],
    )


def _when(power: Power, date: datetime | None, rate: float | None, effect: float) -> str:
    if power.detectable <= effect:
        return "now"
    if rate is None:
        return "unknown: the log names no times"
    return f"{date:%Y-%m-%d}" if date else "not within ten years"


def as_frame(found: Proof) -> pl.DataFrame:
    """One row a group."""
    return pl.DataFrame(
        [
            {
                "group": power.group,
                "n": power.n,
                "users": power.users,
                "detectable": power.detectable,
                "needed": power.needed(found.effect),
                "per_day": rate,
                "decidable": _when(power, date, rate, found.effect),
            }
            for power, date, rate in zip(found.powers, found.dates, found.rates, strict=True)
        ]
    )
