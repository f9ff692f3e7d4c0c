"""Decayed, causal sums and means: what was known about a user at each moment, nothing later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400.0


@dataclass(frozen=True)
class CausalMeans:
    """Decayed means of N turns' vectors, as known just before and just after each turn.

    `before`, `through` [N, D] float32 (zeros where nothing is known yet); `n_before`, `n_through`
    [N] are the weights of those means: a turn counts 1 when it happens, 1/2 a half-life later.
    """

    before: FloatArray
    n_before: RealArray
    through: FloatArray
    n_through: RealArray


def decayed_sums(
    values: FloatArray, users: IntArray, ts_s: RealArray, *, half_life_s: float
) -> FloatArray:
    """Sum of each user's earlier rows, decayed to the time of each row.

    `S_i = sum_{j < i} 2^(-(t_i - t_j) / half_life) x_j` over the user's own rows, in order of
    time; equal times keep their row order. O(N D), one step for each rank inside a user.

    Args:
        values: [N, D] rows in any order.
        users: [N] user codes, 0-based.
        ts_s: [N] seconds.
        half_life_s: Seconds after which a row counts half, > 0.

    Returns:
        [N, D] float32, in the order given.
    """
    order = np.lexsort((ts_s, users))
    starts, sizes = _runs(users[order])
    # The busiest users first, so that those with a further row are always a prefix.
    by_size = np.argsort(-sizes, kind="stable")
    starts, sizes = starts[by_size], sizes[by_size]
    result = np.zeros_like(values, dtype=np.float32)
    state = np.zeros((len(starts), values.shape[1]), np.float32)
    for rank in range(1, int(sizes.max(initial=0))):
        active = int(np.searchsorted(-sizes, -rank, side="left"))
        now, last = order[starts[:active] + rank], order[starts[:active] + rank - 1]
        fade = np.exp2(-(ts_s[now] - ts_s[last]) / half_life_s).astype(np.float32)
        state = (state[:active] + values[last]) * fade[:, None]
        result[now] = state
    return result


def causal_means(
    vectors: FloatArray, users: IntArray, ts_s: RealArray, *, half_life_s: float
) -> CausalMeans:
    """Decayed mean of each user's turns, before and through every turn.

    Args:
        vectors: [N, D] turn vectors in any order.
        users: [N] user codes, 0-based.
        ts_s: [N] seconds.
        half_life_s: Seconds after which a turn counts half, > 0.
    """
    ones = np.ones((len(vectors), 1), np.float32)
    sums = decayed_sums(np.hstack([vectors, ones]), users, ts_s, half_life_s=half_life_s)
    before, weight = sums[:, :-1], sums[:, -1].astype(np.float64)
    through = (before + vectors) / (weight[:, None] + 1.0)
    return CausalMeans(
        before=(before / np.maximum(weight, 1e-12)[:, None]).astype(np.float32),
        n_before=weight,
        through=through.astype(np.float32),
        n_through=weight + 1.0,
    )


def latest_sums(
    values: FloatArray, users: IntArray, ts_s: RealArray, *, half_life_s: float
) -> tuple[FloatArray, RealArray]:
    """Sum of all rows of each user, decayed to the time of the last one.

    Returns:
        Sums [U, D] float32 and the last times [U], U = highest code + 1.
    """
    count = int(users.max(initial=-1)) + 1
    last = np.full(count, -np.inf)
    np.maximum.at(last, users, ts_s)
    weight = np.exp2(-(last[users] - ts_s) / half_life_s).astype(np.float32)
    order = np.argsort(users, kind="stable")
    starts, _ = _runs(users[order])
    sums = np.zeros((count, values.shape[1]), np.float32)
    if len(order):
        weighted = values[order] * weight[order, None]
        sums[users[order][starts]] = np.add.reduceat(weighted, starts, axis=0)
    return sums, last


def _runs(ordered: IntArray) -> tuple[IntArray, IntArray]:
    """First position and length of each run of equal codes."""
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
    return starts, np.diff(np.r_[starts, len(ordered)])
