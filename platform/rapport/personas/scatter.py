"""What is to be known of turns to tell people apart: sums that add up over parts of the users."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HELD_OUT = 5
"""Every fifth user calibrates the temperature and takes no part in the fit that it judges."""
MOST_TURNS = 100
"""Turns of a user that a fit learns from, the newest: a group's scatter grows with its size, and
three users of 240 with 400 odd turns each were seen to hide everybody else's personas."""
SHUFFLES = 2
"""Times the turns are dealt to strangers, to see how far people differ by chance."""


@dataclass(frozen=True)
class Groups:
    """One way to group turns: G groups with sums s and sizes n.

    `squares` is the sum of `n^2`, `between` [D, D] that of `s s' / n`: the scatter of the groups'
    means about the origin.
    """

    count: int
    squares: float
    between: RealArray

    def __add__(self, other: "Groups") -> "Groups":
        return Groups(
            self.count + other.count,
            self.squares + other.squares,
            self.between + other.between,
        )


@dataclass(frozen=True)
class Scatter:
    """Sufficient statistics of N turns: enough for every direction in which users may differ.

    `total` [D] and `second` [D, D] are the sums of `x` and `x x'`; conversations lie each inside
    one user, and those of `shuffled` were dealt anew to the turns of their user. Scatters of
    disjoint users add up to that of all of them.
    """

    turns: int
    total: RealArray
    second: RealArray
    users: Groups
    conversations: Groups
    shuffled: Groups

    def __add__(self, other: "Scatter") -> "Scatter":
        return Scatter(
            self.turns + other.turns,
            self.total + other.total,
            self.second + other.second,
            self.users + other.users,
            self.conversations + other.conversations,
            self.shuffled + other.shuffled,
        )


@dataclass(frozen=True)
class Crowd:
    """Statistics of U users: every fifth, `held`, apart from the `rest`.

    `strangers` are of all of them: groups as large as the users', of turns dealt at random.
    """

    rest: Scatter
    held: Scatter
    strangers: tuple[Groups, ...]

    def __add__(self, other: "Crowd") -> "Crowd":
        pairs = zip(self.strangers, other.strangers, strict=True)
        return Crowd(
            self.rest + other.rest,
            self.held + other.held,
            tuple(one + two for one, two in pairs),
        )

    @property
    def whole(self) -> Scatter:
        """Of all users."""
        return self.rest + self.held


def crowd_of(
    vectors: FloatArray, users: IntArray, conversations: IntArray, *, seed: Sequence[int]
) -> Crowd:
    """Statistics of some whole users.

    Args:
        vectors: [N, D] turn vectors.
        users: [N] codes, 0-based without gaps.
        conversations: [N] codes; each lies inside one user.
        seed: Of the shuffles, which stay inside these users.

    Cost: O(N D^2), about .3 s of one core for 10,000 turns of 384.
    """
    rng = np.random.default_rng(seed)
    held = is_held(users)
    values = vectors.astype(np.float64)
    dealt = [rng.permutation(users) for _ in range(SHUFFLES)]
    shuffled = _shuffled_inside(conversations, users, rng)
    parts = [
        _scatter(values[rows], users[rows], conversations[rows], shuffled[rows])
        for rows in (~held, held)
    ]
    return Crowd(parts[0], parts[1], tuple(_groups(values, strangers) for strangers in dealt))


def together(crowds: Sequence[Crowd]) -> Crowd:
    """Statistics of the users of several parts, one at least."""
    return reduce(Crowd.__add__, crowds)


def is_held(users: IntArray) -> NDArray[np.bool_]:
    """Whether users of these codes calibrate the temperature."""
    return np.asarray(users % HELD_OUT == HELD_OUT - 1)


def newest(users: IntArray, *, most: int = MOST_TURNS) -> NDArray[np.bool_]:
    """Which turns [N] are among the last `most` of their users; each user's in order of time."""
    order = np.argsort(users, kind="stable")
    ends = np.cumsum(np.bincount(users))[users[order]]
    kept = np.empty(len(users), dtype=bool)
    kept[order] = np.arange(len(users)) >= ends - most
    return kept


def group_means(values: NDArray[np.floating], groups: IntArray) -> tuple[RealArray, RealArray]:
    """Mean [G, D] and size [G] of each group; every code 0 to G - 1 occurs."""
    sums, sizes = group_sums(values, groups)
    return sums / sizes[:, None], sizes


def group_sums(values: NDArray[np.floating], groups: IntArray) -> tuple[RealArray, RealArray]:
    """Sum [G, D] and size [G] of each group; every code 0 to G - 1 occurs."""
    sizes = np.bincount(groups).astype(np.float64)
    places = (groups, np.arange(len(groups)))
    member = csr_matrix((np.ones(len(groups)), places), shape=(len(sizes), len(groups)))
    return np.asarray(member @ values), sizes


def codes(labels: IntArray) -> IntArray:
    """Labels as codes without gaps, in order of label."""
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def _scatter(
    values: RealArray, users: IntArray, conversations: IntArray, shuffled: IntArray
) -> Scatter:
    return Scatter(
        turns=len(values),
        total=values.sum(axis=0),
        second=values.T @ values,
        users=_groups(values, users),
        conversations=_groups(values, conversations),
        shuffled=_groups(values, shuffled),
    )


def _groups(values: RealArray, labels: IntArray) -> Groups:
    if not len(values):
        return Groups(0, 0.0, np.zeros((values.shape[1], values.shape[1])))
    sums, sizes = group_sums(values, codes(labels))
    scaled = sums / np.sqrt(sizes)[:, None]
    return Groups(len(sizes), float((sizes**2).sum()), scaled.T @ scaled)


def _shuffled_inside(inner: IntArray, outer: IntArray, rng: np.random.Generator) -> IntArray:
    """Inner codes dealt anew to the turns of each outer group."""
    result = np.empty_like(inner)
    result[np.lexsort((np.arange(len(outer)), outer))] = inner[
        np.lexsort((rng.random(len(outer)), outer))
    ]
    return result
