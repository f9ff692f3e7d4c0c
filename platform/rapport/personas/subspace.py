"""The few directions of a turn vector in which people differ steadily, whatever they write about.

Topics are projected out first: what one message alone gives away, and what moves between the
conversations of one user. In what is left, directions are ranked by the variance between users
against that within them, and those are kept which beat users whose turns were shuffled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHRINKAGE = 0.1
"""Weight of the round covariance in a within-group covariance."""
ABOVE_NULL = 1.25
"""A direction is kept when its ratio exceeds this multiple of the largest under shuffling."""
LOUD = 1.0
"""A direction is a topic when conversations differ in it by more than the turns inside them do:
manners take several turns to show. The centroids of k-means stand in for topics only where those
are few and far apart: with a topic for each of two agents 16 to 32 of them left enough behind to
hide every persona, and where personas are plain they take these out as well."""
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

    @property
    def clearness(self) -> RealArray:
        """How much of each direction's ratio is beyond chance [d], in (0, 1].

        Groups show most clearly in coordinates weighed by it: single people differ too, a little,
        in directions of their own.
        """
        return np.asarray((self.ratios - self.null) / self.ratios)

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
    free = _without(centred, topics)
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

    First those in which conversations differ by more than the noise of one turn, whoever holds
    them; then those in which a user's own conversations differ by more than chance. Without
    conversations of several turns, users take their place in the first.
    """
    talks = conversations if _degrees(conversations) >= centred.shape[1] else users
    nobody = np.zeros(len(users), np.int64)
    spread = _spread(centred, nobody, talks)
    loud = int(((spread.ratios - 1.0) / _usual_size(talks) > LOUD).sum())
    first = _orthonormal(spread.inside @ spread.vectors[:, :loud])
    free = _without(centred, first)
    spread = _spread(free, users, conversations)
    moving = 0
    if len(spread.ratios):
        shuffled = _shuffled_inside(conversations, users, rng)
        moving = spread.kept(float(_spread(free, users, shuffled).ratios[0]))
    return _orthonormal(np.hstack([first, spread.inside @ spread.vectors[:, :moving]]))


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


def _degrees(groups: IntArray) -> int:
    """Turns beyond the first of each group."""
    return len(groups) - int(groups.max(initial=-1) + 1)


def _usual_size(groups: IntArray) -> float:
    """Size of groups as the variance between them sees it (Searle 1971): less where uneven."""
    sizes = np.bincount(groups).astype(np.float64)
    return float((sizes.sum() - (sizes**2).sum() / sizes.sum()) / max(len(sizes) - 1, 1))


def _orthonormal(directions: NDArray[np.floating]) -> FloatArray:
    left, scale, _ = np.linalg.svd(directions, full_matrices=False)
    return np.asarray(left[:, scale > 1e-6 * scale.max(initial=0.0)], np.float32)


def _without(values: FloatArray, directions: FloatArray) -> FloatArray:
    return np.asarray(values - (values @ directions) @ directions.T)


def _shuffled_inside(inner: IntArray, outer: IntArray, rng: np.random.Generator) -> IntArray:
    """Inner codes dealt anew to the turns of each outer group."""
    result = np.empty_like(inner)
    result[np.lexsort((np.arange(len(outer)), outer))] = inner[
        np.lexsort((rng.random(len(outer)), outer))
    ]
    return result
