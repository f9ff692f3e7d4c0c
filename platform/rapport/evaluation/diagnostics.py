"""Can this log say anything about that target? Overlap, effective sizes, who stayed silent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.evaluation.estimators import Log
from rapport.evaluation.intervals import FloatArray, effective_size

WORST_REWARD = -1.0
_STRATA = 3


def ess(weight: FloatArray) -> float:
    """Effective sample size of importance weights, in rows."""
    return effective_size(weight)


def max_weight(weight: FloatArray) -> float:
    """Largest importance weight; 0 for no rows."""
    return float(weight.max(initial=0.0))


def overlap(target: FloatArray, logging: FloatArray, *, floor: float = 0.0) -> float:
    """Share of the target's probability on actions the log may hold, in [0, 1].

    Args:
        target: [N, A] probabilities of the policy under study.
        logging: [N, A] probabilities of the logging policy on the same rows.
        floor: An action counts as held when its logging probability is above this.
    """
    return float(np.where(logging > floor, target, 0.0).sum(axis=1).mean())


def reporting_rates(log: Log, arms: Sequence[str]) -> dict[str, float]:
    """Share of decisions anything came back for, by the arm taken; arms never taken are absent."""
    reported = ~np.isnan(log.reward)
    return {
        name: float(reported[log.action == index].mean())
        for index, name in enumerate(arms)
        if (log.action == index).any()
    }


def sizes_by_label(
    log: Log, weight: FloatArray, labels: NDArray[Any]
) -> dict[str, dict[str, float]]:
    """Rows, users and effective sample size of each label, for instance of each source."""
    table = {}
    for label in np.unique(labels):
        rows = labels == label
        table[str(label)] = {
            "n": float(rows.sum()),
            "users": float(len(np.unique(log.user[rows]))),
            "ess": ess(weight[rows]),
        }
    return table


def with_reporting_weights(log: Log, q_hat: FloatArray) -> tuple[Log, NDArray[np.bool_]]:
    """The rows something came back for, each standing for the silent ones like it.

    Likeness is the arm taken and the third of predicted reward: inverse probability of being
    observed, `1 / P(reported | arm, third)`. It repairs silence that the prediction explains, not
    silence that depends on the unseen reward itself; `with_worst_fill` bounds that.

    Args:
        log: N decisions, `reward` nan where silent.
        q_hat: [N, A] predicted reward.

    Returns:
        The reported rows with weights, and the mask [N] that picked them.

    Source: Robins, Rotnitzky & Zhao, JASA 1994 (inverse probability of censoring weights).
    """
    reported = ~np.isnan(log.reward)
    rate = reporting_chance(log, q_hat)[np.arange(len(log)), log.action]
    return replace(log.rows(reported), row_weight=1.0 / rate[reported]), reported


def reporting_chance(log: Log, q_hat: FloatArray) -> FloatArray:
    """[N, A] share of decisions like this one and action that anything came back for.

    Likeness is the action and the third of its predicted reward; 0 where none was ever logged.
    """
    arms = np.arange(q_hat.shape[1])
    taken = q_hat[np.arange(len(log)), log.action]
    edges = np.quantile(taken, [1 / 3, 2 / 3]) if len(log) else np.zeros(2)
    stratum = arms * _STRATA + np.searchsorted(edges, q_hat, side="right")
    logged = stratum[np.arange(len(log)), log.action]
    size = np.bincount(logged, minlength=len(arms) * _STRATA)
    answered = np.bincount(logged, weights=~np.isnan(log.reward), minlength=len(size))
    return np.asarray((answered / np.maximum(size, 1))[stratum])


def with_worst_fill(log: Log) -> Log:
    """The same decisions with -1 for every silence: what the log allows at worst."""
    return log.rewarded(np.where(np.isnan(log.reward), WORST_REWARD, log.reward))
