"""How much a chooser of strategies prefers some over others, beyond what supporters did."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_ROUNDS = 20


def confusion(chosen: NDArray[np.int64], truth: NDArray[np.int64], *, kinds: int) -> FloatArray:
    """Counts [K, K] of what was chosen (rows) where what was right (columns)."""
    counts = np.zeros((kinds, kinds))
    np.add.at(counts, (chosen, truth), 1.0)
    return counts


def preference_bias(counts: FloatArray) -> FloatArray:
    """Spread of the preferences for K strategies: 0 where none is preferred.

    Preferences are Bradley-Terry strengths of a game that i wins against j whenever i is chosen
    where j is right; they are scaled to sum to K. Twenty rounds, each updating one strength after
    the other, as the published code does it. A strategy that is never chosen has strength 0; one
    that is chosen wrongly, but never missed, keeps the strength it has.

    Args:
        counts: [..., K, K] from `confusion`; leading axes are independent tables.

    Returns:
        Standard deviation [...] over the K preferences.

    Source: Kang et al., ACL 2024 (arXiv:2402.13211).
    """
    kinds = counts.shape[-1]
    strength = np.ones(counts.shape[:-1])
    for _ in range(_ROUNDS):
        for i in range(kinds):
            others = np.delete(np.arange(kinds), i)
            mine, theirs = strength[..., i, None], strength[..., others]
            both = np.maximum(mine + theirs, 1e-300)
            won = (counts[..., i, others] * theirs / both).sum(axis=-1)
            lost = (counts[..., others, i] / both).sum(axis=-1)
            fresh = won / np.where(lost > 0, lost, 1.0)
            strength[..., i] = np.where(lost > 0, fresh, strength[..., i])
        strength /= _geometric_mean(strength)
    preference = kinds * strength / strength.sum(axis=-1, keepdims=True)
    return np.asarray(preference.std(axis=-1))


def _geometric_mean(strength: FloatArray) -> FloatArray:
    """Over those above 0, [..., 1]; 1 where none is."""
    there = strength > 0
    logs = np.where(there, np.log(np.where(there, strength, 1.0)), 0.0)
    return np.asarray(np.exp(logs.sum(-1, keepdims=True) / np.maximum(there.sum(-1), 1)[..., None]))
