"""What a log can prove: the smallest gain or harm it would show, and when a stated one would show.

A comparison whose estimate has standard error `s` passes a one-sided 95 % test against 0 in 80 %
of repetitions when the truth is `(1.645 + 0.842) s` (Cohen, Statistical Power Analysis, 1988).
Standard errors shrink with the square root of the decisions, so `(detectable / effect)^2` times
the data show `effect`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from rapport.errors import ConfigError, TooLittleDataError
from rapport.evaluation.intervals import Terms, clustered_bootstrap
from rapport.evaluation.verdict import Z_BOUND, Z_POWER, Row, is_group

FARTHEST = timedelta(days=3650)
"""Dates beyond are not stated: nobody keeps a rate for ten years."""


@dataclass(frozen=True)
class Power:
    """What the data of one group can show."""

    group: str
    """`overall`, or `kind/label`."""
    n: int
    """Decisions that something came back for."""
    users: int
    stderr: float
    """Of the comparison, reward units a decision; resampled by user."""

    @property
    def detectable(self) -> float:
        """Smallest true gain, or harm, that shows in 80 % of cases, in reward units."""
        return (Z_BOUND + Z_POWER) * self.stderr

    def needed(self, effect: float) -> int:
        """Decisions at which a true gain or harm of `effect` > 0 reward units shows in 80 %."""
        if effect <= 0:
            raise ConfigError("effect", effect, "state a gain or harm above 0 reward units")
        return ceil(self.n * (self.detectable / effect) ** 2)

    def decidable(self, effect: float, *, since: datetime, per_day: float) -> datetime | None:
        """When `effect` becomes decidable at the present rate; `since` where it is already.

        Args:
            effect: True gain or harm, > 0 reward units.
            since: Moment of the data.
            per_day: Decisions of this group a day that something comes back for.

        Returns:
            The date; none where there is no rate, or it lies more than ten years ahead.
        """
        missing = self.needed(effect) - self.n
        if missing <= 0:
            return since
        days = missing / per_day if per_day > 0 else float("inf")
        return since + timedelta(days=days) if days < FARTHEST.days and isfinite(days) else None


def of_candidate(rows: Iterable[Row]) -> list[Power]:
    """What a verdict's doubly robust rows could have shown of policies as far from the log.

    Each reading of silence must pass, so the least sure one counts.
    """
    return [
        Power(row.group, row.n, row.users, max(gain.stderr for gain in row.gains.values()))
        for row in rows
        if row.estimator == "dr" and row.gains and (row.group == "overall" or is_group(row.group))
    ]


def of_halves(group: str, reward: NDArray[np.float64], user: NDArray[np.str_]) -> Power:
    """What an experiment on two halves of such users could show; for logs without propensities.

    The standard error of a difference between two halves is twice that of the mean of all.

    Args:
        group: Its name.
        reward: [N] in [-1, 1], none missing.
        user: [N]; rows of one user are not independent.

    Raises:
        TooLittleDataError: Fewer than two users.
    """
    users = len(np.unique(user))
    if users < 2:
        raise TooLittleDataError(f"users of {group} with feedback", users, 2)
    ones = np.ones(len(reward))
    terms = Terms(reward[None], ones[None], user, ones)
    drawn = clustered_bootstrap([terms])
    return Power(group, len(reward), users, 2.0 * float(np.nanstd(drawn, ddof=1)))
