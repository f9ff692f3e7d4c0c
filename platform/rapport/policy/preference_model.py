"""An exported RLlib policy over arms: how much each is preferred to the best one.

Two towers, `score(state, arm) = query(state) . key(arm)`; the number of candidates is free.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rapport.policy.features import BoolArray, Float32Array, FloatArray, Layout
from rapport.policy.learning import Learning

PREFERENCE_FLOOR = 1e-6


@dataclass(frozen=True)
class PreferenceModel:
    """Weights of both towers; plain arrays, so serving needs neither Ray nor RLlib."""

    layout: Layout
    weights: Mapping[str, Float32Array]
    """query_in [S, H], query_in_bias [H], query_out [H, H], query_out_bias [H], key [A, H]."""
    learning: Learning | None = None
    """How its training went; none in releases of before."""

    def scores(self, state: Float32Array, shares: Float32Array | None = None) -> FloatArray:
        """[N, M] unnormalised log-probabilities, as the RLModule's before its mask."""
        w = self.weights
        hidden = np.maximum(state @ w["query_in"] + w["query_in_bias"], 0.0)
        query = hidden @ w["query_out"] + w["query_out_bias"]
        if shares is None:
            return np.asarray(query @ w["key"].T, dtype=np.float64)
        keys = np.broadcast_to(shares, (len(state), *shares.shape[-2:])) @ w["key"]
        return np.asarray(np.einsum("nh,nmh->nm", query, keys), dtype=np.float64)

    def rec(
        self, state: Float32Array, mask: BoolArray, shares: Float32Array | None = None
    ) -> FloatArray:
        """[N, M] action probability over the row's largest, in (0, 1]; the floor outside `mask`.

        Args:
            state: [N, S].
            mask: [N, M] candidates that remain.
            shares: Arms that candidates show, as in `feature_matrix`; absent, all A arms.
        """
        score = self.scores(state, shares)
        best = np.where(mask, score, -np.inf).max(axis=1, keepdims=True)
        share = np.exp(np.minimum(score - best, 0.0))
        return np.asarray(np.where(mask, np.maximum(share, PREFERENCE_FLOOR), PREFERENCE_FLOOR))
