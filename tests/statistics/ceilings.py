"""What any policy could reach that sees only what a policy sees, were its rewards without noise.

A regression by boosted trees is taught the true expected reward of every arm at every decision of
the log. What it misses of the oracle's gain is hidden from all policies; what a learner misses of
its gain is noise and lack of data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from rapport.policy.dataset import PolicyDataset
from rapport.simulation import SimulationConfig, generation
from rapport.simulation.language import NEUTRAL, IntArray, Wording, compose
from tests.statistics.simulated_log import Naming
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


@contextmanager
def flawless(config: SimulationConfig) -> Iterator[Naming]:
    """Names personas by the hidden manner of every word, as no reader of text can.

    Within it, logs of these settings must be generated, for manners are noted as texts are made.
    """
    manner: dict[str, IntArray] = {}

    def noting(wording: Wording, **about: Any) -> list[str]:
        texts = compose(wording, **about)
        manner.update(zip(texts, wording.manner, strict=True))
        return texts

    own = np.eye(config.personas, 1 + config.personas, 1)
    base = np.full(1 + config.personas, (1.0 - NEUTRAL) / config.personas)
    base[0] = NEUTRAL
    likely = np.log((1.0 - config.leaning) * base + config.leaning * own)

    def naming(messages: pl.DataFrame) -> Array:
        seen = np.array([manner[text] for text in messages["text"]])
        return np.asarray(likely[:, seen].sum(axis=2).T)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "compose", noting)
        yield naming


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
