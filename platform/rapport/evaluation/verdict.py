"""What the gate answers: its comparisons, how sure they are, and how much data would do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, erf, log10, prod, sqrt
from typing import Any, Literal

from rapport.evaluation.influence import USER_CAP
from rapport.evaluation.intervals import Estimate

Status = Literal["passed", "failed", "skipped"]
Change = Literal["policy", "generator", "policy and generator", "nothing"]
"""What a candidate changes beside what serves: who is answered how, who writes it, or both."""
NEW_REPLIES: frozenset[Change] = frozenset({"generator", "policy and generator"})
"""Changes after which people read replies that did not serve before."""
TOO_LITTLE = "too little data"
FIRST = "first release"
"""Starts the name of each comparison with the first release: alone overall, else with a group."""
OBSERVED = "observed"
"""The reading of silence as if it were chance; see `rapport.evaluation.evidence`."""
Z_BOUND = 1.6449  # one-sided 95 %
Z_POWER = 0.8416  # 80 % of repetitions


@dataclass(frozen=True)
class GateSettings:
    """What the gate asks for."""

    margin: float = 0.02
    """Reward units a group may seem to lose; larger promotes more and harms more."""
    drift: float = 0.04
    """Reward units a candidate may seem to lose against the first release, in each group too, and
    against control."""
    clip: float = 100.0
    """Importance weights are cut here."""
    max_weight: float = 100.0
    min_ess: float = 200.0
    ess_share: float = 0.01
    """ESS must also be this share of n."""
    group_ess: float = 100.0
    """A group with a smaller ESS, or fewer than 20 users, has too little data to be judged."""
    user_cap: float = USER_CAP
    """Times the average user that one user may count for, 2 at least inside a group. At 1 each
    counts once: 1 % of them hold 1 % of the weight. More takes less data where people differ in
    how much they say, and lets 1 % hold more."""
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Gain:
    """A gain in reward units a decision with its one-sided 95 % bounds."""

    estimate: float
    stderr: float
    low: float
    high: float

    def needed_share(self, bound: float) -> float | None:
        """Times the data at which the lower bound exceeds `bound` in 80 % of cases."""
        over = self.estimate - bound
        return ((Z_BOUND + Z_POWER) * self.stderr / over) ** 2 if over > 0 else None


@dataclass(frozen=True)
class Row:
    """One comparison: a gain in reward units a decision, and the bound it had to exceed."""

    group: str
    estimator: str
    status: Status
    n: int
    users: int
    ess: float
    estimate: float | None = None
    stderr: float | None = None
    low: float | None = None
    """One-sided 95 % lower bound of the gain."""
    high: float | None = None
    """One-sided 95 % upper bound."""
    bound: float | None = None
    note: str = ""
    silence: Mapping[str, Gain] = field(default_factory=dict)
    """The same gain with silence read otherwise: `weighted`, `at worst`; each must pass too."""

    @property
    def gains(self) -> dict[str, Gain]:
        """The gain under each reading of silence, `OBSERVED` first; empty where skipped."""
        if self.estimate is None or self.stderr is None or self.low is None or self.high is None:
            return {}
        seen = Gain(self.estimate, self.stderr, self.low, self.high)
        return {OBSERVED: seen, **self.silence}

    @property
    def failure(self) -> str:
        """Why it failed, in words; empty where it did not."""
        for name, gain in self.gains.items():
            if self.bound is not None and gain.low <= self.bound:
                over = f"lower bound {gain.low:.4f} is not above {self.bound:g}"
                return over if name == OBSERVED else f"turns with silence {name}: {over}"
        return ""

    @property
    def needed_share(self) -> float | None:
        """Times the data at which the row passes in 80 % of cases if its estimates are the truth.

        None where it would not pass with any amount: an estimate itself lies under the bound.
        """
        if self.bound is None or not self.gains:
            return None
        failing = [gain for gain in self.gains.values() if gain.low <= self.bound]
        shares = [gain.needed_share(self.bound) for gain in failing or self.gains.values()]
        known = [share for share in shares if share is not None]
        return max(known) if known and len(known) == len(shares) else None

    def chance(self, truth: float) -> float | None:
        """How often it passes, by the normal approximation, where the true gain is `truth`.

        Under the least sure reading of silence; None where nothing was compared.
        """
        if self.bound is None or not self.gains:
            return None
        over = truth - self.bound
        widest = max(gain.stderr for gain in self.gains.values())
        return _normal_cdf(over / widest - Z_BOUND) if widest > 0 else float(over > 0)


def judged(group: str, estimator: str, found: Mapping[str, Estimate], *, bound: float) -> Row:
    """Row of a gain estimated under each reading of silence.

    It passes when every lower bound exceeds `bound`.
    """
    gains = {
        name: Gain(each.value, each.stderr, each.low, each.high) for name, each in found.items()
    }
    seen, sample = gains.pop(OBSERVED), found[OBSERVED]
    passed = all(gain.low > bound for gain in (seen, *gains.values()))
    return Row(
        group=group,
        estimator=estimator,
        status="passed" if passed else "failed",
        n=sample.n,
        users=sample.users,
        ess=sample.ess,
        **asdict(seen),
        bound=bound,
        silence=gains,
    )


@dataclass(frozen=True)
class Verdict:
    """The gate's answer with everything it rests on."""

    promoted: bool
    reasons: tuple[str, ...]
    """Why not; empty when promoted."""
    rows: tuple[Row, ...]
    settings: GateSettings
    n: int
    """Decisions of gate users."""
    reported: int
    """Those something came back for; the estimates rest on them."""
    needed_n: int | None
    """Decisions of gate users that would do, where too few is all that is wrong."""
    values: Mapping[str, Estimate]
    """Reward a decision with 95 % interval: the candidate by `snips` and `dr`, logging, control;
    the last three again under each other reading of silence (`dr, silence at worst`)."""
    sample: Mapping[str, float]
    reporting_rates: Mapping[str, float]
    error_rates: Mapping[str, float]
    sources: Mapping[str, Mapping[str, float]]
    change: Change = "policy"
    generator: str = "same"
    """Whether the log speaks for the candidate's replies: `same`, `alike`, or `canary only`; see
    `rapport.evaluation.generators`."""
    generator_gap: Gain | None = None
    """What the candidate's own replies earned more than others' under the same arms."""
    notes: tuple[str, ...] = ()

    @property
    def too_little_data(self) -> tuple[str, ...]:
        """Groups (`kind/label`) that were not judged; a persona among them keeps the old policy."""
        return tuple(row.group for row in self.rows if row.note == TOO_LITTLE)

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON types, for `verdict.json`."""
        return {**asdict(self), "too_little_data": list(self.too_little_data)}


def is_group(name: str) -> bool:
    """Whether a comparison is that of a group (`kind/label`) with the policy of the log."""
    return "/" in name and not name.startswith(FIRST)


def rows_of(stated: Mapping[str, Any]) -> list[Row]:
    """The comparisons of a verdict read back from `verdict.json`."""
    return [
        Row(**{**row, "silence": {name: Gain(**gain) for name, gain in row["silence"].items()}})
        for row in stated["rows"]
    ]


def needed_rows(rows: Sequence[Row], *, sample: Mapping[str, float], n: int) -> int | None:
    """Decisions at which what failed for lack of data would pass, two digits, rounded up.

    None where nothing failed, or where more of the same log would not help: an estimate lies
    under its own bound, or the effective sample stays under its share of n.

    Args:
        rows: The verdict's comparisons.
        sample: Its `ess` and `ess_needed`.
        n: Decisions now.
    """
    shares = [row.needed_share for row in rows if row.status == "failed"]
    if sample["ess"] < sample["ess_needed"]:
        grows = sample["ess_needed"] <= sample["ess_floor"]
        shares.append(sample["ess_needed"] / sample["ess"] if grows else None)
    known = [share for share in shares if share is not None]
    if not known or len(known) < len(shares):
        return None
    raw = n * max(1.0, *known)
    unit = 10.0 ** max(0, int(log10(raw)) - 1)
    return int(ceil(raw / unit) * unit)


def error_rates(rows: Sequence[Row]) -> dict[str, float]:
    """How often this gate errs on a sample of this size, by the normal approximation.

    `false_promotion` bounds the chance that a policy no better overall passes; `detectable_gain`
    (reward units) is the overall gain that passes in 80 % of cases; `false_refusal` is the chance
    that some group's row refuses a policy as far from the log as this one, but worth the same.
    """
    overall = [row.stderr for row in rows if row.group == "overall" and row.stderr is not None]
    groups = [row for row in rows if is_group(row.group) and row.stderr]
    passes = [_normal_cdf(-(row.bound or 0.0) / (row.stderr or 1.0) - Z_BOUND) for row in groups]
    return {
        "false_promotion": 0.05,
        "detectable_gain": (Z_BOUND + Z_POWER) * max(overall, default=0.0),
        "false_refusal": 1.0 - prod(passes),
    }


def _normal_cdf(z: float) -> float:
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))
