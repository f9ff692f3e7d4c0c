"""When an interval is not to be believed: too few effective rows, heavy tails, wrong weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.evaluation.calibration import Bin, calibration
from rapport.evaluation.comparisons import MIN_USERS
from rapport.evaluation.estimators import Log
from rapport.evaluation.intervals import FloatArray, distinct, effective_size
from rapport.evaluation.verdict import GateSettings

LIMITS = GateSettings()
HEAVY = 0.5
"""Tail index from which the variance is infinite, so that no interval from samples is right."""
_SURE = 4.0
_MIN_TAIL = 5


def tail_index(weight: FloatArray) -> float:
    """Shape k of the generalised Pareto distribution of the largest weights; nan for too few.

    Moments of order 1 / k and above do not exist: above 1/2 the variance is infinite, above 1 the
    mean. Fitted to the largest `min(N / 5, 3 sqrt(N))` positive weights, pulled towards 1/2 as by
    ten more of them.

    Source: Zhang & Stephens, Technometrics 2009; for importance weights Vehtari, Simpson, Gelman,
    Yao & Gabry, JMLR 2024 (arXiv:1507.02646).
    """
    size = int(min(len(weight) / 5, 3 * np.sqrt(len(weight))))
    if size < _MIN_TAIL:
        return float("nan")
    top = np.partition(weight, len(weight) - size - 1)[len(weight) - size - 1 :]
    top.sort()
    x = top[1:] - top[0]
    x = x[x > 0]
    if len(x) < _MIN_TAIL:
        return float("-inf")  # the largest weights are all the same: bounded
    n, grid = len(x), 30 + int(np.sqrt(len(x)))
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1 / x[-1] + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    fit = n * (np.log(-b / k) - k - 1)
    with np.errstate(over="ignore"):  # a shape far less likely than another has no share
        share = 1 / np.exp(fit - fit[:, None]).sum(axis=1)
    shape = np.log1p(-float((b * share).sum() / share.sum()) * x).mean()
    return float((n * shape + 10 * 0.5) / (n + 10))


def propensity_calibration(log: Log) -> tuple[Bin, ...]:
    """Logged probabilities beside how often the arms were taken, in bins; empty without vectors.

    Every arm of every row with a whole vector is one prediction. Where the two columns part, the
    log was not written by the policy that it names, and every weight is wrong by as much.
    """
    if log.probabilities is None:
        return ()
    whole = ~np.isnan(log.probabilities).any(axis=1)
    held = log.probabilities[whole]
    taken = np.zeros_like(held)
    taken[np.arange(len(held)), log.action[whole]] = 1.0
    return calibration(held.ravel(), taken.ravel())


def ess_needed(n: int) -> float:
    """Effective rows that the gate asks of a log of n: `max(200, 1 % of n)`."""
    return max(LIMITS.min_ess, LIMITS.ess_share * n)


def doubts(weight: FloatArray, user: NDArray[Any]) -> tuple[str, ...]:
    """Why intervals from these weights are not to be believed; nothing where they are.

    Args:
        weight: [N] unclipped importance weights.
        user: [N] whose rows they are.
    """
    found = []
    ess, needed = effective_size(weight), ess_needed(len(weight))
    if ess < needed:
        found.append(f"effective sample {ess:.0f} is under {needed:.0f} rows")
    users = len(distinct(user))
    if users < MIN_USERS:
        found.append(f"{users} users are too few to resample: {MIN_USERS} are needed")
    tail = tail_index(weight)
    if tail > HEAVY:
        found.append(
            f"weights have a heavy tail (index {tail:.2f}, above {HEAVY:g} their variance is "
            "infinite): clip them, or take the trimmed interval"
        )
    mean, stderr = float(weight.mean()), float(weight.std() / np.sqrt(len(weight)))
    if abs(mean - 1.0) > _SURE * stderr:
        found.append(
            f"mean weight is {mean:.3f} where 1 is expected: propensities are wrong, or the target "
            "favours actions this log never held"
        )
    return tuple(found)
