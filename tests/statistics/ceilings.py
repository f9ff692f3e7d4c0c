"""What any policy could reach that sees only what a policy sees, were its rewards without noise.

A regression by boosted trees is taught the true expected reward of every arm at every decision of
the log. What it misses of the oracle's gain is hidden from all policies; what a learner misses of
its gain is noise and lack of data.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from rapport.policy.dataset import PolicyDataset
from tests.statistics.vowpal import greedy

Array = NDArray[np.float64]
_WORDS = 16  # columns of the message vector; of its principal components the rest is noise
_LEAST = 1e-6


def taught(
    log: PolicyDataset, truth: Array, asked: PolicyDataset, *, personas: Array | None = None
) -> Array:
    """[N, M] probabilities of the policy that takes what the regression thinks best.

    Args:
        log: L decisions to be taught on.
        truth: [L, M] true expected reward of every arm there; nan where it is not served.
        asked: N decisions.
        personas: [L + N, K] certainty about each persona, in place of what the router says.
    """
    both = log.joined(asked)
    seen = _seen(both if personas is None else _told(both, personas))
    expected = np.full(asked.mask.shape, -np.inf)
    for arm in np.flatnonzero(~np.isnan(truth).all(axis=0)):
        rows = np.flatnonzero(~np.isnan(truth[:, arm]))
        trees = HistGradientBoostingRegressor(
            max_iter=60, learning_rate=0.1, max_leaf_nodes=15, l2_regularization=10, random_state=0
        ).fit(seen[rows], truth[rows, arm])
        expected[:, arm] = trees.predict(seen[len(log) :])
    return greedy(np.where(asked.mask, expected, -np.inf))


def _seen(data: PolicyDataset) -> Array:
    situation = data.situation
    return np.column_stack(
        [
            data.states,
            np.log(np.maximum(situation.posterior, _LEAST)),
            np.eye(len(data.layout.arms) + 1)[situation.previous_arm],
            situation.message[:, :_WORDS],
        ]
    )


def _told(data: PolicyDataset, personas: Array) -> PolicyDataset:
    return replace(data, situation=replace(data.situation, posterior=personas))
