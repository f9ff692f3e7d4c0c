"""A canary's verdict: users dealt the candidate by a coin, looked at as often as anybody likes.

Each user counts once, with the mean reward of his first days. Harm is certain, and the candidate is
rolled back, once an upper bound of its gain falls below 0, overall or in any group; it may be
promoted once the lower bounds lie above 0 overall and above `-margin` in each group. Both hold
under each reading of silence: silent users left out, and every silence the worst.

All bounds are confidence sequences (`rapport.evaluation.anytime`), so that stopping at the first
look that says so errs no more often than one look: a harmless candidate is rolled back with
probability `alpha` at most (each sequence has its part of it), one that is no better, or harms a
group by more than the margin, is promoted with probability `alpha` at most (all must pass).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.anytime import gap_sequence
from rapport.evaluation.evidence import AT_WORST
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import OBSERVED

Decision = Literal["promote", "roll back", "go on"]
BoolArray = NDArray[np.bool_]
OVERALL = "overall"


@dataclass(frozen=True)
class CanarySettings:
    """What a canary asks for."""

    alpha: float = 0.05
    """Chance of a false rollback, and of a false promotion, over all looks together."""
    margin: float = 0.02
    """Reward units a group may seem to lose."""
    least_share: float = 0.05
    """A group with a smaller share of the users is told and not judged."""


@dataclass(frozen=True)
class Panel:
    """N users in the order in which they came; what each is worth never changes afterwards."""

    value: FloatArray
    """[N] mean reward of his answered decisions, in [-1, 1]; nan where none was answered."""
    filled: FloatArray
    """[N] the same with -1 for every decision that was not answered."""
    treated: BoolArray
    """[N] who was dealt the candidate."""
    share: float
    """Chance of being dealt it, in (0, 1)."""
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Kind of group to labels [N] known before the user was dealt anything; the empty is none."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        sizes = {len(self.value), len(self.filled), len(self.treated)}
        if len(sizes | {len(labels) for labels in self.groups.values()}) != 1:
            raise DataError("the columns of a canary differ in length", "give one value a user")

    def members(self) -> dict[str, BoolArray]:
        """Users [N] of all, and of each group by `kind/label`."""
        found = {OVERALL: np.ones(len(self.value), dtype=bool)}
        for kind, labels in self.groups.items():
            named = np.asarray(labels)
            known = [label for label in np.unique(named) if str(label)]
            found |= {f"{kind}/{label}": named == label for label in known}
        return found


@dataclass(frozen=True)
class Watched:
    """One comparison after the last user: a gain in reward units, with its bounds."""

    group: str
    silence: str
    users: int
    treated: int
    estimate: float | None
    """Difference of the means; None until both have users."""
    low: float
    """Never promoted on less: one-sided, at every look together, level `1 - alpha`."""
    high: float
    """Rolled back below 0: one-sided, at every look and over all comparisons, `1 - alpha`."""
    bound: float
    """What `low` has to exceed."""
    judged: bool


@dataclass(frozen=True)
class CanaryVerdict:
    """What a look at a canary says."""

    decision: Decision
    reasons: tuple[str, ...]
    rows: tuple[Watched, ...]
    users: int
    treated: int
    reporting: Mapping[str, float]
    """Share of users who answered anything: `candidate`, `current`."""
    settings: CanarySettings

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Course:
    """What a look after each of N users would have said."""

    harmed: BoolArray
    """[N] an upper bound lies below 0."""
    fit: BoolArray
    """[N] every lower bound lies above what it has to exceed."""

    def decision(self, users: int) -> Decision:
        """What is said after the first `users` > 0; harm goes before gain."""
        if self.harmed[users - 1]:
            return "roll back"
        return "promote" if self.fit[users - 1] else "go on"


def judge(panel: Panel, settings: CanarySettings | None = None) -> CanaryVerdict:
    """Say what becomes of a canary after the users so far; may be asked after each of them."""
    settings = settings or CanarySettings()
    followed = _followed(panel, settings)
    rows = tuple(one.watched() for one in followed if len(panel.value))
    decision: Decision = "go on"
    if rows:
        decision = _course(followed).decision(len(panel.value))
    told = ~np.isnan(panel.value)
    sides = {"candidate": panel.treated, "current": ~panel.treated}
    return CanaryVerdict(
        decision=decision,
        reasons=tuple(_reasons(decision, rows)),
        rows=rows,
        users=len(panel.value),
        treated=int(panel.treated.sum()),
        reporting={name: _mean(told[side]) for name, side in sides.items()},
        settings=settings,
    )


def course(panel: Panel, settings: CanarySettings | None = None) -> Course:
    """Say what a look after each user would have said; the same as `judge` on each beginning."""
    return _course(_followed(panel, settings or CanarySettings()))


@dataclass(frozen=True)
class _Followed:
    """One comparison after each of N users."""

    group: str
    silence: str
    low: FloatArray
    high: FloatArray
    bound: float
    judged: BoolArray
    value: FloatArray
    treated: BoolArray
    """Of its own users."""

    def watched(self) -> Watched:
        sides = self.value[self.treated], self.value[~self.treated]
        gain = float(sides[0].mean() - sides[1].mean()) if all(map(len, sides)) else None
        return Watched(
            group=self.group,
            silence=self.silence,
            users=len(self.value),
            treated=int(self.treated.sum()),
            estimate=gain,
            low=float(self.low[-1]),
            high=float(self.high[-1]),
            bound=self.bound,
            judged=bool(self.judged[-1]),
        )


def _followed(panel: Panel, settings: CanarySettings) -> list[_Followed]:
    members = panel.members()
    readings = {OBSERVED: panel.value, AT_WORST: panel.filled}
    several = len(members) * len(readings)
    count = np.arange(1, len(panel.value) + 1)
    found = []
    for group, inside in members.items():
        judged = inside.cumsum() >= settings.least_share * count
        bound = 0.0 if group == OVERALL else -settings.margin
        for silence, value in readings.items():
            keep = inside & ~np.isnan(value)
            each, dealt = value[keep], panel.treated[keep]
            low, high = _bounds(each, dealt, panel.share, settings.alpha, several)
            place = keep.cumsum()  # of the last value known after each user; 0 for none yet
            found.append(
                _Followed(group, silence, low[place], high[place], bound, judged, each, dealt)
            )
    return found


def _bounds(
    value: FloatArray, treated: BoolArray, share: float, alpha: float, several: int
) -> tuple[FloatArray, FloatArray]:
    """[n + 1] bounds before the first value and after each.

    A two-sided sequence of level `1 - 2 a` errs on either side with probability `a` at most.
    """
    lower = gap_sequence(value, treated, share=share, level=1.0 - 2.0 * alpha).low
    upper = gap_sequence(value, treated, share=share, level=1.0 - 2.0 * alpha / several).high
    return np.concatenate([[-2.0], lower]), np.concatenate([[2.0], upper])


def _course(followed: list[_Followed]) -> Course:
    harmed = [one.judged & (one.high < 0.0) for one in followed]
    fit = [~one.judged | (one.low > one.bound) for one in followed]
    return Course(np.logical_or.reduce(harmed), np.logical_and.reduce(fit))


def _reasons(decision: Decision, rows: tuple[Watched, ...]) -> list[str]:
    """Why, for people; of `go on`, what is still missing."""
    judged = [row for row in rows if row.judged]
    if decision == "roll back":
        return [
            f"{row.group}, silence {row.silence}: harm is certain, gain under {row.high:.4f}"
            for row in judged
            if row.high < 0.0
        ]
    return [
        f"{row.group}, silence {row.silence}: lower bound {row.low:.4f} is not above {row.bound:g}"
        for row in judged
        if row.low <= row.bound
    ]


def _mean(told: BoolArray) -> float:
    return float(told.mean()) if len(told) else 0.0
