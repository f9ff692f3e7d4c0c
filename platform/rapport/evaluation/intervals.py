"""Estimates and their intervals: a bootstrap over users, on sums per user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError

FloatArray = NDArray[np.float64]
_COUNTED = 1_000_000  # labels below are counted in an array of this size at most: 8 MB
_CHUNK = 2_000_000  # drawn users held at once: 16 MB of counts


@dataclass(frozen=True)
class Terms:
    """An estimate as a sum of ratios of sums over rows: `sum_k sum_i N_ki / sum_i D_ki`.

    Every estimator here has this form, and so has the difference of two of them; only the sums
    per user are needed to resample it.
    """

    numerator: FloatArray
    """[K, N], reward units."""
    denominator: FloatArray
    """[K, N]; 1 for a plain mean, the weight for a self-normalised one."""
    user: NDArray[Any]
    """[N] label of the cluster a row belongs to."""
    weight: FloatArray
    """[N] importance weights, for the effective sample size only."""

    @property
    def value(self) -> float:
        """The estimate itself, in reward units a decision."""
        return float((self.numerator.sum(axis=1) / self.denominator.sum(axis=1)).sum())

    def rows(self, keep: NDArray[Any]) -> "Terms":
        """The same sums over some of the rows, by mask or index."""
        return Terms(
            self.numerator[:, keep], self.denominator[:, keep], self.user[keep], self.weight[keep]
        )

    def scaled(self, factor: FloatArray) -> "Terms":
        """The same sums with each row counting `factor` [N] times."""
        return replace(
            self,
            numerator=factor * self.numerator,
            denominator=factor * self.denominator,
            weight=factor * self.weight,
        )

    def minus(self, other: "Terms") -> "Terms":
        """Difference of two estimates on the same rows, in the same order."""
        return replace(
            self,
            numerator=np.concatenate([self.numerator, -other.numerator]),
            denominator=np.concatenate([self.denominator, other.denominator]),
        )

    def minus_apart(self, other: "Terms") -> "Terms":
        """Difference of two estimates on disjoint rows, such as those of different users."""
        return Terms(
            numerator=_block_diagonal(self.numerator, -other.numerator),
            denominator=_block_diagonal(self.denominator, other.denominator),
            user=np.concatenate([self.user, other.user]),
            weight=self.weight,
        )


@dataclass(frozen=True)
class Bootstrap:
    """How an interval is made: users drawn with replacement, percentiles of the estimates."""

    resamples: int = 1000
    seed: int = 0
    level: float = 0.95
    """Two-sided; the lower end of a .90 interval is the one-sided 95 % bound."""


DEFAULT = Bootstrap()


@dataclass(frozen=True)
class Estimate:
    """A value in reward units with its interval and the sample that carries it."""

    value: float
    stderr: float
    """Standard deviation over resamples of users."""
    low: float
    high: float
    n: int
    users: int
    ess: float
    """Kish's effective sample size of the importance weights, in (0, n]."""
    max_weight: float


def clustered_bootstrap(several: Sequence[Terms], by: Bootstrap = DEFAULT) -> FloatArray:
    """Draw users with replacement and estimate again, `by.resamples` times.

    Rows of one user stay together, since they are not independent. All estimates see the same
    draws, so they can be compared, and the draws are paid for once. Works on the sums per user:
    O(N + resamples * U * T), about half a second for 1,000 resamples of 30,000 users.

    Args:
        several: T estimates whose user labels are of one kind; their rows may differ.
        by: Number and seed of the draws.

    Returns:
        [resamples, T] in reward units; nan where a resample held no row of a denominator.

    Raises:
        TooLittleDataError: An estimate rests on fewer than two users.

    Source: Cameron, Gelbach & Miller, REStat 2008 (pairs cluster bootstrap).
    """
    codes, users = _codes([terms.user for terms in several])
    for code in codes:
        found = int((np.bincount(code, minlength=users) > 0).sum())
        if found < 2:
            raise TooLittleDataError("users to resample", found, 2)
    sums = [_sums(terms, code, users=users) for terms, code in zip(several, codes, strict=True)]
    table = np.concatenate(sums, axis=1)
    drawn = np.concatenate([counts @ table for counts in _draws(users, by)])
    ends = np.cumsum([block.shape[1] for block in sums])
    return np.stack(
        [
            _ratios(drawn[:, end - block.shape[1] : end])
            for block, end in zip(sums, ends, strict=True)
        ],
        axis=1,
    )


def estimate(terms: Terms, by: Bootstrap = DEFAULT) -> Estimate:
    """Value of the terms with a percentile interval over users."""
    return estimates([terms], by)[0]


def estimates(several: Sequence[Terms], by: Bootstrap = DEFAULT) -> list[Estimate]:
    """Values with percentile intervals, all from the same draws of users."""
    drawn = clustered_bootstrap(several, by)
    return [summary(terms, drawn[:, t], level=by.level) for t, terms in enumerate(several)]


def summary(terms: Terms, drawn: FloatArray, *, level: float) -> Estimate:
    """Value of the terms with the percentile interval of its resamples `drawn` [resamples]."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(
        value=terms.value,
        stderr=float(np.nanstd(drawn, ddof=1)),
        low=float(low),
        high=float(high),
        n=len(terms.weight),
        users=len(distinct(terms.user)),
        ess=effective_size(terms.weight),
        max_weight=float(terms.weight.max()),
    )


def distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """The labels that occur, in order; small whole numbers are counted, which is much cheaper."""
    if labels.dtype.kind == "i" and len(labels) and labels.min() >= 0 and labels.max() < _COUNTED:
        return np.flatnonzero(np.bincount(labels))
    return np.unique(labels)


def effective_size(weight: FloatArray) -> float:
    """Rows an unweighted sample would need for the same variance: `(sum w)^2 / sum w^2`.

    0 where no weight is positive. Source: Kish, Survey Sampling, 1965.
    """
    squares = float((weight * weight).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _codes(users: Sequence[NDArray[Any]]) -> tuple[list[NDArray[np.intp]], int]:
    """Position of each label among all labels, and how many there are."""
    # Most estimates share one array of labels: each is sorted once.
    arrays = {id(labels): labels for labels in users}
    pool = np.unique(np.concatenate([distinct(labels) for labels in arrays.values()]))
    known = {key: np.searchsorted(pool, labels) for key, labels in arrays.items()}
    return [known[id(labels)] for labels in users], len(pool)


def _sums(terms: Terms, code: NDArray[np.intp], *, users: int) -> FloatArray:
    """[U, 2K] sums of numerators and denominators by user."""
    rows = (*terms.numerator, *terms.denominator)
    return np.stack([np.bincount(code, weights=row, minlength=users) for row in rows], axis=1)


def _ratios(drawn: FloatArray) -> FloatArray:
    kinds = drawn.shape[1] // 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((drawn[:, :kinds] / drawn[:, kinds:]).sum(axis=1))


def _draws(users: int, by: Bootstrap) -> Iterator[FloatArray]:
    generator = np.random.default_rng(by.seed)
    left, step = by.resamples, max(1, _CHUNK // users)
    while left > 0:
        size = min(step, left)
        index = generator.integers(users, size=(size, users))
        index += np.arange(size)[:, None] * users
        counts = np.bincount(index.ravel(), minlength=size * users)
        yield counts.reshape(size, users).astype(np.float64)
        left -= size


def _block_diagonal(first: FloatArray, second: FloatArray) -> FloatArray:
    kinds, rows = first.shape
    joined = np.zeros((kinds + second.shape[0], rows + second.shape[1]))
    joined[:kinds, :rows], joined[kinds:, rows:] = first, second
    return joined
