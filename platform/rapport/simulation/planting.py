"""Policies planted to be worth a stated amount more or less, with people whose minds are known."""

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.simulation.truth import FloatArray

_STEEPEST = 400.0  # at it all probability lies on the best arm: tastes differ by .01 and more
_HALVINGS = 60


def tilted(
    logging: FloatArray, expected: FloatArray, cell: NDArray[np.intp], *, gain: float
) -> FloatArray:
    """A policy whose true value lies `gain` above the logging policy's, by leaning to liked arms.

    `pi(a) ~ b(a) exp(eta m(a))` with m the mean true reward of an arm in the row's cell, so that
    it knows a group's taste and no single mind; eta is found by halving, below 0 for a harm.

    Args:
        logging: [N, A] probabilities of the logging policy; rows sum to 1.
        expected: [N, A] true expected rewards; nan for arms that are not served.
        cell: [N] number of the group a row belongs to, such as persona by agent.
        gain: Reward units a decision, over all rows.

    Returns:
        [N, A] probabilities, 0 where `logging` is 0.

    Raises:
        DataError: No such policy earns that much, or loses it.
    """
    liking, known = _means(expected, cell), np.nan_to_num(expected)

    def gained(eta: float) -> float:
        return float(((_leaning(logging, eta * liking) - logging) * known).sum(axis=1).mean())

    low, high = -_STEEPEST, _STEEPEST
    if not gained(low) <= gain <= gained(high):
        reach = f"{gained(low):+.3f} to {gained(high):+.3f}"
        raise DataError(f"a gain of {gain:+.3f} is out of reach", f"these rows allow {reach}")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if gained(middle) < gain else (low, middle)
    return _leaning(logging, high * liking)


def true_gain(logging: FloatArray, expected: FloatArray, target: FloatArray) -> FloatArray:
    """[N] true difference a target makes to the logging policy on each row, in reward units."""
    return np.asarray(((target - logging) * np.nan_to_num(expected)).sum(axis=1))


def _means(expected: FloatArray, cell: NDArray[np.intp]) -> FloatArray:
    """[N, A] mean of each arm within the row's cell; 0 where the cell never serves it."""
    served = ~np.isnan(expected)
    total = np.zeros((int(cell.max(initial=0)) + 1, expected.shape[1]))
    count = np.zeros_like(total)
    np.add.at(total, cell, np.nan_to_num(expected))
    np.add.at(count, cell, served)
    return np.asarray((total / np.maximum(count, 1.0))[cell])


def _leaning(logging: FloatArray, lean: FloatArray) -> FloatArray:
    # Shifted by the largest served one: steep leanings would overflow.
    top = np.where(logging > 0, lean, -np.inf).max(axis=1, keepdims=True)
    weight = logging * np.exp(np.minimum(lean - top, 0.0))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
