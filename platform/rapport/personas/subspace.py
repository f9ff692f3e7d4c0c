"""The few directions of a turn vector in which people differ steadily, whatever they write about.

Topics are projected out first: what one message alone gives away, and what moves between the
conversations of one user. In what is left, directions are ranked by the variance between users
against that within them, and those are kept which beat users whose turns were shuffled. All of it
is algebra on the sums of `rapport.personas.scatter`, whatever the number of turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from rapport.personas.scatter import Groups, Scatter

RealArray = NDArray[np.float64]

SHRINKAGE = 0.1
"""Weight of the round covariance in a within-group covariance."""
ABOVE_NULL = 1.25
"""A direction is kept when its ratio exceeds this multiple of the largest under shuffling."""
LOUD = 1.0
"""A direction is a topic when conversations differ in it by more than the turns inside them do:
manners take several turns to show. The centroids of k-means stand in for topics only where those
are few and far apart: with a topic for each of two agents 16 to 32 of them left enough behind to
hide every persona, and where personas are plain they take these out as well."""
_MOST_DIRECTIONS = 24
_ROWS = 10_000
"""Rows mapped at once, as float64."""


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
        return projected(vectors, origin=self.origin, projection=self.projection)


def projected(
    vectors: NDArray[np.floating], *, origin: RealArray, projection: RealArray
) -> RealArray:
    """`(x - origin) @ projection` of rows [N, D] as [N, d] float64, some rows at a time."""
    result = np.empty((len(vectors), projection.shape[1]))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = (vectors[rows].astype(np.float64) - origin) @ projection
    return result


@dataclass(frozen=True)
class _Spread:
    """Generalised eigenvectors of variance between groups against variance inside them."""

    ratios: RealArray
    vectors: RealArray
    inside: RealArray

    def kept(self, null: float) -> int:
        return min(int((self.ratios > ABOVE_NULL * null).sum()), _MOST_DIRECTIONS)


@dataclass(frozen=True)
class _Room:
    """Where spreads are looked at: `second` [D, D] about the mean, and a projection."""

    turns: int
    second: RealArray
    free: RealArray

    def spread(self, outer: Groups, inner: Groups) -> _Spread:
        """Compare variance of inner groups inside outer ones with variance inside the inner.

        Ratios are descending, each about 1 by chance alone; none where nothing can be compared.
        """
        between_df, inside_df = inner.count - outer.count, self.turns - inner.count
        dim = len(self.second)
        if between_df < 1 or inside_df < 1:
            return _Spread(np.zeros(0), np.zeros((dim, 0)), np.eye(dim))
        moved = self._inside(inner.between - outer.between) / between_df
        inside = self._inside(self.second - inner.between) / inside_df
        inside = (1.0 - SHRINKAGE) * inside + SHRINKAGE * np.trace(inside) / dim * np.eye(dim)
        ratios, vectors = eigh(moved, inside)
        return _Spread(ratios[::-1], vectors[:, ::-1], inside)

    def without(self, directions: RealArray) -> "_Room":
        """The same with orthonormal directions [D, T] taken out."""
        return _Room(self.turns, self.second, np.eye(len(self.free)) - directions @ directions.T)

    def _inside(self, scatter: RealArray) -> RealArray:
        # Symmetric to the last bit, which eigh takes for granted.
        half = self.free @ scatter @ self.free
        return np.asarray((half + half.T) / 2)


def find_subspace(
    scatter: Scatter, *, strangers: Sequence[Groups] = (), dims: int | None = None
) -> Subspace:
    """Find the directions that tell users apart.

    Args:
        scatter: Of their turns.
        strangers: Groups as large as the users' of turns dealt at random; one at least where the
            number of directions is to be found.
        dims: Directions to keep, none for those that beat chance.

    Source: generalised eigenvectors as in Fisher's discriminant, with users as the classes and
    the number of directions by parallel analysis (Horn 1965). Cost O(D^3).
    """
    origin = scatter.total / scatter.turns
    room = _Room(
        scatter.turns,
        scatter.second - scatter.turns * np.outer(origin, origin),
        np.eye(len(origin)),
    )
    topics = _topic_directions(scatter, room, origin=origin)
    room, nobody = room.without(topics), _nobody(len(origin))
    spread = room.spread(nobody, _about(origin, scatter.users, scatter.turns))
    null = 0.0
    if dims is None:
        dealt = (_about(origin, groups, scatter.turns) for groups in strangers)
        null = max(float(room.spread(nobody, groups).ratios[0]) for groups in dealt)
        dims = spread.kept(null)
    projection = spread.vectors[:, :dims]
    projection = projection - topics @ (topics.T @ projection)
    return Subspace(origin, projection, spread.ratios[:dims], null, topics.shape[1])


def _topic_directions(scatter: Scatter, room: _Room, *, origin: RealArray) -> RealArray:
    """Orthonormal directions [D, T] of topics.

    First those in which conversations differ by more than the noise of one turn, whoever holds
    them; then those in which a user's own conversations differ by more than chance. Without
    conversations of several turns, users take their place in the first.
    """
    users, talks, shuffled = (
        _about(origin, groups, scatter.turns)
        for groups in (scatter.users, scatter.conversations, scatter.shuffled)
    )
    several = scatter.turns - talks.count >= len(origin)
    tellers = talks if several else users
    spread = room.spread(_nobody(len(origin)), tellers)
    loud = int(((spread.ratios - 1.0) / _usual_size(tellers, scatter.turns) > LOUD).sum())
    first = _orthonormal(spread.inside @ spread.vectors[:, :loud])
    free = room.without(first)
    spread = free.spread(users, talks)
    moving = 0
    if len(spread.ratios):
        moving = spread.kept(float(free.spread(users, shuffled).ratios[0]))
    return _orthonormal(np.hstack([first, spread.inside @ spread.vectors[:, :moving]]))


def _about(origin: RealArray, groups: Groups, turns: int) -> Groups:
    """Groups with the scatter of their means about the mean of all turns."""
    about = groups.between - turns * np.outer(origin, origin)
    return Groups(groups.count, groups.squares, about)


def _nobody(dim: int) -> Groups:
    """All turns as one group, about their own mean."""
    return Groups(1, 0.0, np.zeros((dim, dim)))


def _usual_size(groups: Groups, turns: int) -> float:
    """Size of groups as the variance between them sees it (Searle 1971): less where uneven."""
    return float((turns - groups.squares / turns) / max(groups.count - 1, 1))


def _orthonormal(directions: RealArray) -> RealArray:
    left, scale, _ = np.linalg.svd(directions, full_matrices=False)
    return np.asarray(left[:, scale > 1e-6 * scale.max(initial=0.0)])
