"""The gate's verdicts: at work on planted policies, and on the release that serves."""

from typing import Any

import polars as pl

from rapport.evaluation.verdict import Row, is_group, rows_of
from rapport.report import figures
from rapport.report.blocks import Block, Section, Table, signed, within
from rapport.report.facts import Facts

_TRUTHS = [step / 100 for step in range(-8, 9)]
_GAIN = "gain in reward units a decision"
_LINES = 5
"""Groups whose operating curve is drawn: more could not be told apart."""


def planted(facts: Facts) -> Section | None:
    """The demo's honest and harmful candidate; none where no demo ran on a log with known truth."""
    caught = facts.kept("caught")
    if caught is None:
        return None
    lead = [
        "Two policies with the same average gain were put before the gate on this very log, whose "
        "truth the simulator knows. One takes from one persona what it gives to the others.",
        *caught["lines"],
        *(f"Refused because: {reason}" for reason in caught["reasons"]),
    ]
    columns = ("policy", "group", "estimated", "lower bound", "true")
    rows = [[row[name] for name in columns] for row in caught["rows"]]
    return Section(
        "Would harm be caught?", lead, [Table("Gains in reward units a decision", columns, rows)]
    )


def judged(facts: Facts) -> Section:
    """The verdict in words, with every comparison it rests on."""
    verdict = facts.verdict
    if verdict is None:
        return Section("The gate's verdict", [facts.unjudged])
    rows = rows_of(verdict)
    shown = [*_plot(rows), *_operating(rows), _table(rows)]
    waits = verdict.get("next") if facts.judged != facts.release else None
    tried = [f"What its replies are worth, a canary tells: {waits}"] if waits else []
    return Section("The gate's verdict", [*_words(verdict, rows), *tried], shown)


def _words(verdict: dict[str, Any], rows: list[Row]) -> list[str]:
    overall = next(row for row in rows if (row.group, row.estimator) == ("overall", "dr"))
    settings = verdict["settings"]
    said = [
        f"{'Promoted' if verdict['promoted'] else 'Refused'}: the candidate is expected to earn "
        f"{signed(overall.estimate)} reward units a decision more than the policy that wrote the "
        f"log (at least {signed(overall.low)} with 95 % confidence; n {overall.n:,}).",
        f"No persona or declared group may seem to lose more than {settings['margin']:g}; nobody "
        f"may drift more than {settings['drift']:g} below the first release, nor all together "
        "below control.",
    ]
    said += [f"It was refused because {reason}." for reason in verdict["reasons"]]
    if verdict["too_little_data"]:
        kept = ", ".join(verdict["too_little_data"])
        said.append(f"Too little data to judge, so the old policy stays there: {kept}.")
    return [*said, *(f"{note[0].upper()}{note[1:]}." for note in verdict["notes"])]


def _plot(rows: list[Row]) -> list[Block]:
    shown = [row for row in rows if row.estimator == "dr" and row.gains]
    told = figures.Told(
        "gate",
        f"{_GAIN.capitalize()}, doubly robust, with one-sided 95 % bounds; dashed: the bounds "
        f"asked for; n {max(row.n for row in shown):,} decisions of gate users",
        "Gain of the candidate over the logging policy, overall and for each group: "
        + "; ".join(f"{row.group} {signed(row.estimate)}" for row in shown),
    )
    found = [(row.estimate or 0.0, row.low or 0.0, row.high or 0.0) for row in shown]
    bounds = sorted({row.bound for row in shown if row.bound is not None})
    return [figures.estimates(told, [row.group for row in shown], found, unit=_GAIN, marks=bounds)]


def _operating(rows: list[Row]) -> list[Block]:
    """What the gate would let pass, by what is true: overall and for each group."""
    judged = [row for row in rows if row.estimator == "dr" and row.gains]
    groups = [row for row in judged if is_group(row.group)]
    widest = sorted(groups, key=lambda row: row.chance(0.0) or 0.0)[:_LINES]
    shown = [row for row in judged if row.group == "overall"] + widest
    left = len(groups) - len(widest)
    told = figures.Told(
        "operating",
        "The gate's operating curve on this log: chance that a comparison passes, by the true gain "
        "in reward units a decision, under the least sure reading of silence; a policy must pass "
        f"every one of them{f', also {left} surer groups not drawn' if left else ''}; "
        f"n {max(row.n for row in shown):,} decisions of gate users",
        "Chance of passing at a harm of .05, at no change and at a gain of .05: "
        + "; ".join(
            f"{row.group} " + ", ".join(f"{row.chance(true):.2f}" for true in (-0.05, 0.0, 0.05))
            for row in shown
        ),
    )
    numbers = pl.DataFrame(
        [(row.group, true, row.chance(true)) for row in shown for true in _TRUTHS],
        ["group", "gain", "value"],
        orient="row",
    ).with_columns(low=pl.col("value"), high=pl.col("value"))
    axes = ("true gain, reward units a decision", "chance of passing")
    return [figures.courses(told, numbers, group="group", x="gain", axes=axes)]


def _table(rows: list[Row]) -> Table:
    return Table(
        "Comparisons, each under three readings of silence: as told, each answer standing for the "
        "silent ones like it, and the worst for every silence",
        ("compared", "by", "n", "gain", "bounds", "lowest reading", "above", "result"),
        [
            (
                row.group,
                row.estimator,
                row.n or None,
                signed(row.estimate),
                within(row.low, row.high),
                signed(min((gain.low for gain in row.gains.values()), default=None)),
                signed(row.bound, 2),
                row.note or row.status,
            )
            for row in rows
        ],
    )
