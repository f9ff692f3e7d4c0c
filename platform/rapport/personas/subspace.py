"""The few directions of a turn vector in which people differ steadily, whatever they write about.

What differs between conversations of one user is a topic; what groups of conversations share
across users is one as well. Both are projected out. In what is left, directions are ranked by the
variance between users against that within them, and those are kept which beat users whose turns
were shuffled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.cluster import KMeans

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHRINKAGE = 0.1
"""Weight of the round covariance in a within-group covariance."""
ABOVE_NULL = 1.25
"""A direction is kept when its ratio exceeds this multiple of the largest under shuffling."""
TOPIC_CLUSTERS = 32
_CONVERSATIONS_A_CLUSTER = 20
_DIMS_A_CLUSTER = 12  # a topic direction takes its share of voice with it
_SHUFFLES = 2
_MOST_DIRECTIONS = 24


@dataclass(frozen=True)
class Subspace:
    """A linear map `z = (x - origin) @ projection` in which a user's turns scatter by about I.

    `origin` [D], `projection` [D, d] with topics removed; `ratios` [d] variance of user means
    against that expected of chance, `null` the largest such ratio of shuffled users (0 where the
    number of directions was given); `topics` is the number of directions taken out.
    """

    origin: RealArray
    projection: RealArray
    ratios: RealArray
    null: float
    topics: int

    def transform(self, vectors: NDArray[np.floating]) -> RealArray:
        """Map vectors or means of vectors [N, D] to [N, d] float64."""
        return np.asarray((vectors.astype(np.float64) - self.origin) @ self.projection)


@dataclass(frozen=True)
class _Spread:
    """Generalised eigenvectors of variance between groups against variance inside them."""

    ratios: RealArray
    vectors: RealArray
    inside: RealArray

    def kept(self, null: float) -> int:
        return min(int((self.ratios > ABOVE_NULL * null).sum()), _MOST_DIRECTIONS)


def find_subspace(
    vectors: FloatArray,
    users: IntArray,
    conversations: IntArray,
    *,
    seed: int,
    dims: int | None = None,
) -> Subspace:
    """Find the directions that tell users apart.

    Args:
        vectors: [N, D] turn vectors.
        users: [N] codes, 0-based without gaps.
        conversations: [N] codes, 0-based without gaps; each lies inside one user.
        seed: Of the shuffles and of k-means.
        dims: Directions to keep, none for those that beat chance.

    Source: generalised eigenvectors as in Fisher's discriminant, with users as the classes and
    the number of directions by parallel analysis (Horn 1965). Cost O(N D^2 + D^3): seconds for
    30,000 turns of 384.
    """
    rng = np.random.default_rng(seed)
    origin = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - origin.astype(np.float32)
    topics = topic_directions(centred, users, conversations, rng=rng)
    free = centred - (centred @ topics) @ topics.T
    nobody = np.zeros(len(users), np.int64)
    spread = _spread(free, nobody, users)
    null = 0.0
    if dims is None:
        shuffled = (rng.permutation(users) for _ in range(_SHUFFLES))
        null = max(float(_spread(free, nobody, users).ratios[0]) for users in shuffled)
        dims = spread.kept(null)
    projection = spread.vectors[:, :dims]
    projection = projection - topics @ (topics.T @ projection)
    return Subspace(origin, projection, spread.ratios[:dims], null, topics.shape[1])


def topic_directions(
    centred: FloatArray, users: IntArray, conversations: IntArray, *, rng: np.random.Generator
) -> FloatArray:
    """Orthonormal directions [D, T] of topics.

    Those in which a user's conversations differ more than the turns inside them allow, and those
    of the centroids of k-means over conversations: the second catch the topic a user never leaves.
    """
    parts = [_centroid_directions(centred, conversations, rng)]
    spread = _spread(centred, users, conversations)
    if len(spread.ratios):
        shuffled = _shuffled_inside(conversations, users, rng)
        null = float(_spread(centred, users, shuffled).ratios[0])
        parts.append(spread.inside @ spread.vectors[:, : spread.kept(null)])
    left, scale, _ = np.linalg.svd(np.hstack(parts), full_matrices=False)
    return left[:, scale > 1e-6 * max(scale.max(initial=0.0), 1e-12)].astype(np.float32)


def group_means(values: NDArray[np.floating], groups: IntArray) -> tuple[RealArray, RealArray]:
    """Mean [G, D] and size [G] of each group; every code 0 to G - 1 occurs."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups).astype(np.float64)
    starts = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.int64)
    sums = np.add.reduceat(values[order], starts, axis=0, dtype=np.float64)
    return sums / sizes[:, None], sizes


def _spread(values: FloatArray, outer: IntArray, inner: IntArray) -> _Spread:
    """Compare variance of inner groups inside outer ones with variance inside the inner groups.

    Ratios are descending, each about 1 by chance alone; none where there is nothing to compare.
    """
    inner_means, inner_sizes = group_means(values, inner)
    outer_means, outer_sizes = group_means(values, outer)
    owner = np.zeros(len(inner_sizes), np.int64)
    owner[inner] = outer
    between_df = len(inner_sizes) - len(outer_sizes)
    inside_df = len(values) - len(inner_sizes)
    dim = values.shape[1]
    if between_df < 1 or inside_df < 1:
        return _Spread(np.zeros(0), np.zeros((dim, 0)), np.eye(dim))
    moved = (inner_means - outer_means[owner]) * np.sqrt(inner_sizes)[:, None]
    rest = values - inner_means.astype(np.float32)[inner]
    inside = (rest.T @ rest).astype(np.float64) / inside_df
    inside = (1.0 - SHRINKAGE) * inside + SHRINKAGE * np.trace(inside) / dim * np.eye(dim)
    ratios, vectors = eigh(moved.T @ moved / between_df, inside)
    return _Spread(ratios[::-1], vectors[:, ::-1], inside)


def _centroid_directions(
    centred: FloatArray, conversations: IntArray, rng: np.random.Generator
) -> RealArray:
    means, sizes = group_means(centred, conversations)
    dim = centred.shape[1]
    count = min(TOPIC_CLUSTERS, dim // _DIMS_A_CLUSTER, len(means) // _CONVERSATIONS_A_CLUSTER)
    if count < 2:
        return np.zeros((dim, 0))
    seeded = int(rng.integers(2**31))
    centroids = KMeans(count, n_init=1, max_iter=30, random_state=seeded).fit(
        means, sample_weight=sizes
    )
    moved = centroids.cluster_centers_ - centroids.cluster_centers_.mean(axis=0)
    return np.asarray(np.linalg.svd(moved, full_matrices=False)[2][: count - 1].T)


def _shuffled_inside(inner: IntArray, outer: IntArray, rng: np.random.Generator) -> IntArray:
    """Inner codes dealt anew to the turns of each outer group."""
    result = np.empty_like(inner)
    result[np.lexsort((np.arange(len(outer)), outer))] = inner[
        np.lexsort((rng.random(len(outer)), outer))
    ]
    return result
