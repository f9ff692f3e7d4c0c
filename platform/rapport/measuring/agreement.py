"""How far two groupings of the same people agree, with intervals over the people."""

import numpy as np
from numpy.typing import NDArray

from rapport.measuring.result import Measure

RESAMPLES, SEED = 1000, 0
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def agreement(one: IntArray, other: IntArray, weight: FloatArray) -> FloatArray:
    """Adjusted Rand index [R] of two groupings of U users under R weightings of them.

    Only pairs of different users count, so that a user who was drawn twice agrees with nobody the
    more; where every weight is 1 it is the usual index.

    Args:
        one: [U] codes.
        other: [U] codes.
        weight: [R, U] >= 0.

    Source: Hubert & Arabie, Journal of Classification 1985.
    """
    pair = one * (int(other.max()) + 1) + other
    both, rows, columns = (_pairs(codes, weight) for codes in (pair, one, other))
    everything = _pairs(np.zeros_like(one), weight)
    chance = rows * columns / np.maximum(everything, 1e-12)
    room = (rows + columns) / 2 - chance
    same = np.abs(room) < 1e-9  # one group on both sides: there is nothing to disagree on
    return np.asarray(np.where(same, 1.0, (both - chance) / np.where(same, 1.0, room)))


def _pairs(codes: IntArray, weight: FloatArray) -> FloatArray:
    """[R] weighted pairs of different users that share a code."""
    there = np.eye(int(codes.max()) + 1)[codes]
    return np.asarray((((weight @ there) ** 2 - (weight**2) @ there).sum(axis=1)) / 2)


def draws(users: int) -> FloatArray:
    """[1 + R, U] how often each user counts: once in the sample, then as drawn."""
    generator = np.random.default_rng(SEED)
    drawn = np.ones((1 + RESAMPLES, users))
    for row in drawn[1:]:
        row[:] = np.bincount(generator.integers(users, size=users), minlength=users)
    return drawn


def measured(values: FloatArray, users: int) -> Measure:
    """The first of [1 + R] values with the 95 % percentile interval of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Measure(float(values[0]), float(low), float(high), users)
