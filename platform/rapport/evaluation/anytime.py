"""Confidence sequences: intervals that hold at every moment at once, however often one looks.

For canaries: users arrive one by one, and whoever watches stops when they have seen enough. An
ordinary 95 % interval looked at daily misses the truth far more often than 5 % of the time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.intervals import FloatArray

_BOLDEST = 0.5
"""Largest bet; the source finds 1/2 and 3/4 reasonable."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """Bounds after each of N values; with probability `level` the truth is in all of them."""

    low: FloatArray
    """[N], never falling."""
    high: FloatArray
    """[N], never rising. Below `low` the values contradict what was assumed of them."""

    def first(self, *, above: float | None = None, below: float | None = None) -> int | None:
        """How many values it took until the truth surely lay above or below; none if never."""
        if above is not None:
            sure = self.low > above
        elif below is not None:
            sure = self.high < below
        else:
            raise DataError("no bound to cross is given", "give `above` or `below`")
        return int(sure.argmax()) + 1 if sure.any() else None


def mean_sequence(
    value: FloatArray, *, low: float = -1.0, high: float = 1.0, level: float = 0.95
) -> ConfidenceSequence:
    """Bound a mean, again after every value, by the predictable plug-in empirical Bernstein rule.

    With `x` the values mapped to [0, 1], `m` their running mean and `s` their running variance
    (each started with one pseudo-value, and each taken before the value it is used on):

        bet_t = min(sqrt(2 log(2/alpha) / (s_(t-1) t log(1 + t))), 1/2)
        sum(bet x) / sum(bet) +- (log(2/alpha) + sum((x - m)^2 (-log(1 - bet) - bet))) / sum(bet)

    and then the intersection of all so far. O(N).

    Args:
        value: [N] in the order they became known; the mean of each given the earlier ones is the
            mean sought. One value a user: a second one of the same user does not meet this.
        low: Least value possible.
        high: Largest value possible.
        level: Of all bounds together.

    Raises:
        DataError: A value is outside `low` to `high`, or none.

    Source: Waudby-Smith & Ramdas, JRSS-B 2024 (arXiv:2010.09686), theorem 2.
    """
    if not ((value >= low) & (value <= high)).all():
        raise DataError(f"a value is not in {low:g} to {high:g}", "state the range it can have")
    if not len(value):
        return ConfidenceSequence(np.empty(0), np.empty(0))
    x = (value - low) / (high - low)
    count = np.arange(1, len(x) + 1)
    after = (0.5 + x.cumsum()) / (count + 1)
    before = np.concatenate([[0.5], after[:-1]])
    spread = (0.25 + ((x - after) ** 2).cumsum()) / (count + 1)
    spread = np.concatenate([[0.25], spread[:-1]])
    cost = np.log(2.0 / (1.0 - level))
    bet = np.minimum(np.sqrt(2.0 * cost / (spread * count * np.log1p(count))), _BOLDEST)
    staked = bet.cumsum()
    paid = ((x - before) ** 2 * (-np.log1p(-bet) - bet)).cumsum()
    centre, half = (bet * x).cumsum() / staked, (cost + paid) / staked
    return ConfidenceSequence(
        low=low + (high - low) * np.maximum.accumulate(np.maximum(centre - half, 0.0)),
        high=low + (high - low) * np.minimum.accumulate(np.minimum(centre + half, 1.0)),
    )


def gap_sequence(
    value: FloatArray,
    treated: NDArray[np.bool_],
    *,
    share: float,
    low: float = -1.0,
    high: float = 1.0,
    level: float = 0.95,
) -> ConfidenceSequence:
    """Bound what a treatment adds to the mean, again after every user.

    Each user gives `(treated / share - (1 - treated) / (1 - share)) (value - c)`, whose mean is
    the gain sought whatever `c` was before the user came; `c` is the running mean of the treated
    and of the others, crossed, which makes the spread smallest. `mean_sequence` bounds their mean.

    Args:
        value: [N] one a user, in the order they became known.
        treated: [N] who was dealt the treatment, each by a coin of its own.
        share: Chance of being dealt it, in (0, 1).
        low: Least value possible.
        high: Largest value possible.
        level: Of all bounds together.

    Raises:
        DataError: `share` is no chance, or a value is outside the range.

    Source: Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro, 2022 (arXiv:2210.10768).
    """
    if not 0.0 < share < 1.0:
        raise DataError(f"a share of {share!r} treats nobody or everybody", "give one in (0, 1)")
    if not ((value >= low) & (value <= high)).all():
        raise DataError(f"a value is not in {low:g} to {high:g}", "state the range it can have")
    middle = (low + high) / 2.0
    centre = (1.0 - share) * _mean_before(value, treated, start=middle)
    centre += share * _mean_before(value, ~treated, start=middle)
    gain = np.where(treated, 1.0 / share, -1.0 / (1.0 - share)) * (value - centre)
    widest = (high - low) / min(share, 1.0 - share)
    gain = np.clip(gain, -widest, widest)  # rounding alone may step outside
    return mean_sequence(gain, low=-widest, high=widest, level=level)


def _mean_before(value: FloatArray, kept: NDArray[np.bool_], *, start: float) -> FloatArray:
    """[N] mean of the kept values before each place, `start` counting as one of them."""
    total = start + np.concatenate([[0.0], np.where(kept, value, 0.0).cumsum()[:-1]])
    return np.asarray(total / (1.0 + np.concatenate([[0], kept.cumsum()[:-1]])))
