"""How many personas: clear groups (silhouette) that another half of the people shows as well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CANDIDATES = tuple(range(2, 9))
_RESTARTS, _QUICK_RESTARTS = 10, 3
_SPLITS = 3
_SILHOUETTE_SAMPLE = 3000
_LEAST_IN_GROUP = 5
_CHOSEN_FROM = 10_000
"""Users that the number of groups is chosen from, at random where there are more."""


@dataclass(frozen=True)
class Choice:
    """The number of groups taken, and what each candidate scored."""

    k: int
    silhouette: dict[int, float]
    """In [-1, 1]: how much nearer users are to their own group than to the next."""
    stability: dict[int, float]
    """In about [0, 1]: adjusted Rand index between groupings learned on halves of the users."""


def choose_k(points: RealArray, *, seed: int, candidates: Sequence[int] = CANDIDATES) -> Choice:
    """Choose the number of groups of users by silhouette x split-half stability.

    Args:
        points: [U, d] users in the whitened space; d = 0 means nothing tells users apart.
        seed: Of k-means and of the splits.
        candidates: Numbers to try; those that would leave fewer than 5 users a group are not.
    """
    if len(points) > _CHOSEN_FROM:
        drawn = np.random.default_rng(seed).permutation(len(points))[:_CHOSEN_FROM]
        points = points[np.sort(drawn)]
    possible = [k for k in candidates if k * _LEAST_IN_GROUP * 2 <= len(points)]
    if points.shape[1] == 0 or not possible:
        return Choice(1, {}, {})
    silhouette, stability = {}, {}
    for k in possible:
        labels = grouped(points, k, seed=seed).labels_
        sample = min(len(points), _SILHOUETTE_SAMPLE)
        silhouette[k] = float(
            silhouette_score(points, labels, sample_size=sample, random_state=seed)
        )
        stability[k] = _stability(points, k, seed=seed)
    best = max(possible, key=lambda k: silhouette[k] * max(stability[k], 0.0))
    return Choice(best, silhouette, stability)


def grouped(points: RealArray, k: int, *, seed: int, restarts: int = _RESTARTS) -> KMeans:
    """K-means of users [U, d], the best of some starts."""
    return KMeans(k, n_init=restarts, random_state=seed).fit(points)


def _stability(points: RealArray, k: int, *, seed: int) -> float:
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(_SPLITS):
        order = rng.permutation(len(points))
        halves = np.array_split(order, 2)
        one, other = (
            grouped(points[half], k, seed=seed, restarts=_QUICK_RESTARTS).predict(points)
            for half in halves
        )
        scores.append(adjusted_rand_score(one, other))
    return float(np.mean(scores))
