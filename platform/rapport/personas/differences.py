"""How a group differs from everybody in something measured, with an interval over its users."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.personas.terms import LEAST_PEOPLE

RealArray = NDArray[np.float64]

_RESAMPLES = 500
_CHUNK = 50  # resamples weighted at once; bounds memory at 50 numbers a user


@dataclass(frozen=True)
class Difference:
    """A group's mean of something against everybody's, with a pointwise 95 % interval."""

    name: str
    mean: float
    everybody: float
    difference: float
    low: float
    high: float
    users: int
    n: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes no difference."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class _Cells:
    """Sum `totals` and number `counts` [U, M] of each quantity for each user; `groups` [U]."""

    names: list[str]
    groups: NDArray[np.object_]
    totals: RealArray
    counts: RealArray


def differences(
    values: pl.DataFrame, members: pl.DataFrame, *, seed: int
) -> dict[str, list[Difference]]:
    """Compare each persona with everybody in every named quantity.

    Quantities that fewer than 20 people of a group have are left out of its list.

    Args:
        values: Columns `user_id, name, value`, any number of rows a user.
        members: Columns `user_id, persona_id`.
        seed: Of the bootstrap.

    Source: percentile interval of the bootstrap over users (Davison & Hinkley 1997, ch. 2.4).
    """
    known = values.join(members, on="user_id").filter(pl.col("value").is_finite())
    cells = _cells(known)
    return {str(name): _compared(cells, str(name), seed=seed) for name in sorted(set(cells.groups))}


def _cells(known: pl.DataFrame) -> _Cells:
    # Rows come in the order of joins on many threads, and sums of floats follow their order.
    ordered = known.sort("user_id", "name", "value")
    long = ordered.group_by("user_id", "persona_id", "name").agg(
        total=pl.col("value").sum(), count=pl.len()
    )
    names = sorted(long["name"].unique())
    users = long.select("user_id", "persona_id").unique().sort("user_id")
    places = (
        long.select("user_id", "name")
        .join(users.with_row_index("row"), on="user_id")
        .join(
            pl.DataFrame({"name": names}, schema={"name": pl.String}).with_row_index("column"),
            on="name",
        )
    )
    placed = long.join(places, on=["user_id", "name"])
    totals, counts = np.zeros((2, users.height, len(names)))
    rows, columns = placed["row"].to_numpy(), placed["column"].to_numpy()
    totals[rows, columns] = placed["total"].to_numpy()
    counts[rows, columns] = placed["count"].to_numpy()
    return _Cells(names, users["persona_id"].to_numpy(), totals, counts)


def _compared(cells: _Cells, persona: str, *, seed: int) -> list[Difference]:
    own = cells.groups == persona
    low, high = _interval(cells.totals, cells.counts, own, seed=seed)
    mean = _means(cells.totals[own], cells.counts[own])
    everybody = _means(cells.totals, cells.counts)
    people = (cells.counts[own] > 0).sum(axis=0)
    return [
        Difference(
            name=name,
            mean=float(mean[i]),
            everybody=float(everybody[i]),
            difference=float(mean[i] - everybody[i]),
            low=float(low[i]),
            high=float(high[i]),
            users=int(people[i]),
            n=int(cells.counts[own, i].sum()),
        )
        for i, name in enumerate(cells.names)
        if people[i] >= LEAST_PEOPLE
    ]


def _interval(
    totals: RealArray, counts: RealArray, own: NDArray[np.bool_], *, seed: int
) -> tuple[RealArray, RealArray]:
    """2.5 % and 97.5 % points [M] of the difference under resampling of users."""
    rng = np.random.default_rng(seed)
    users = len(own)
    drawn = []
    for _ in range(_RESAMPLES // _CHUNK):
        weight = rng.multinomial(users, np.full(users, 1.0 / users), size=_CHUNK).astype(float)
        group = weight * own
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append(
                (group @ totals) / (group @ counts) - (weight @ totals) / (weight @ counts)
            )
    # A resample without anybody of the group who has the quantity says nothing of it.
    low, high = np.quantile(np.nan_to_num(np.vstack(drawn), nan=0.0), (0.025, 0.975), axis=0)
    return low, high


def _means(totals: RealArray, counts: RealArray) -> RealArray:
    return np.asarray(totals.sum(axis=0) / np.maximum(counts.sum(axis=0), 1.0))
