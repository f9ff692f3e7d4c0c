"""Policies compared by the arm they choose, when the replies behind the arms are others.

A new generator never writes the log's replies, so the importance weight of a reply is 0 or
undefined. Its arm it shares with the log: if what a user feels depends on a reply through its arm
alone, the ratio of the arms' probabilities is the right weight, and a far smaller one.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.estimators import Log
from rapport.evaluation.intervals import FloatArray


def by_arm(probability: FloatArray, arm: NDArray[np.intp], *, arms: int) -> FloatArray:
    """[N, A] probability of each arm: that of its candidates added up.

    Args:
        probability: [N, M] of each candidate; 0 where a row has fewer.
        arm: Arm of each candidate, [N, M], or [M] where every row offers the same.
        arms: A, how many there are.

    Raises:
        DataError: An arm is not in 0 to A - 1.
    """
    if arm.size and not (arm.min() >= 0 and arm.max() < arms):
        raise DataError(f"an arm is not in 0 to {arms - 1}", "number the arms from 0")
    rows, width = probability.shape
    place = np.arange(rows)[:, None] * arms + np.broadcast_to(arm, (rows, width))
    total = np.bincount(place.ravel(), weights=probability.ravel(), minlength=rows * arms)
    return np.asarray(total.reshape(rows, arms), dtype=np.float64)


def marginalised(log: Log, arm: NDArray[np.intp], *, arms: int) -> Log:
    """The same decisions as choices of an arm, with the arm's logged probability as propensity.

    Every estimator on it is the marginalised one: `w = sum_(m in arm) pi(m) / sum_(m in arm) b(m)`
    with the target `by_arm`. Unbiased if a reply acts on the reward through its arm alone; its
    weights spread no more than the replies' own.

    Args:
        log: N decisions among M candidates, with `probabilities` [N, M].
        arm: Arm of each candidate, [N, M] or [M].
        arms: A, how many there are.

    Raises:
        DataError: The log lacks the probabilities of all candidates, or an arm is unknown.

    Source: Saito & Joachims, ICML 2022 (arXiv:2202.06317), the embedding being the arm.
    """
    if log.probabilities is None or np.isnan(log.probabilities).any():
        raise DataError(
            "the log lacks the probabilities of all candidates",
            "leave out rows of which only the propensity is known",
        )
    logging = by_arm(log.probabilities, arm, arms=arms)
    row = np.arange(len(log))
    taken = np.broadcast_to(arm, log.probabilities.shape)[row, log.action].astype(np.intp)
    return replace(log, action=taken, propensity=logging[row, taken], probabilities=logging)
