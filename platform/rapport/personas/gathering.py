"""Users to learn personas from, gathered part by part of the lake's turns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.personas.fit import LEAST_USERS, People
from rapport.personas.scatter import (
    MOST_TURNS,
    Crowd,
    codes,
    crowd_of,
    group_sums,
    is_held,
    together,
)
from rapport.personas.subspace import Subspace
from rapport.users.parts import Mapper, Parts
from rapport.users.states import matrix
from rapport.users.timelines import messages_of

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_TURNS = 3
"""Turns of a user that a fit learns from; who wrote less is assigned, not learned from."""
SCORED = 8000
"""About as many turns, taken at random, are what the emotion evidence is fitted on."""
JUDGED_TURNS = 200_000
"""Turns of held-out users that the temperature is judged by."""
_HASHES = float(2**64)

_Part = tuple[int, pl.DataFrame, pl.DataFrame]
"""Number of a part, its turns, their vectors."""


@dataclass(frozen=True)
class _PartPeople:
    """What one part says of its users."""

    crowd: Crowd
    user_ids: list[str]
    sums: FloatArray
    n: RealArray
    held: NDArray[np.bool_]
    sample: pl.DataFrame


@dataclass(frozen=True)
class Gathered:
    """U users, ready for `rapport.personas.fit.fit_people`, and some of their turns."""

    people: People
    user_ids: list[str]
    sample: pl.DataFrame
    """Columns `user_id, turn_id, vector`: about `SCORED` turns at random."""


def deal(lake: Lake, parts: Parts, *, encoder_id: str, tenant: str) -> None:
    """Deal out the turns that may be learned from, without their text, and all turn vectors."""
    turns = messages_of(lake, purpose="train", also=("infer_affect",), tenant=tenant)
    wanted = turns.select("user_id", "turn_id", "conversation_id", "ts", "turn_index")
    parts.write("turns", lake.batches(wanted))
    parts.write("vectors", lake.batches(_vectors(lake, encoder_id, tenant)))


def turns_to_deal(lake: Lake, *, encoder_id: str, tenant: str) -> int:
    """How many turns have a vector: what to choose the number of parts and the runner by."""
    rows = _vectors(lake, encoder_id, tenant).select(pl.len())
    return int(rows.collect(engine="streaming").item())


def gather(
    parts: Parts, *, turns: int, fit_users: int, seed: int, mapper: Mapper = map
) -> Gathered:
    """Learn what adds up of users in whole parts, until they are `fit_users` or more.

    Args:
        parts: As `deal` filled them.
        turns: How many there are, to sample from.
        fit_users: Users to stop at; parts hold users at random.
        seed: Of shuffles and sample.
        mapper: Runs the parts.

    Raises:
        TooLittleDataError: Fewer than 20 users wrote at least 3 turns.
    """
    share = min(1.0, SCORED / max(turns, 1))
    found: list[_PartPeople] = []
    count = 0
    learn = partial(part_people, share=share, seed=seed)
    for one in mapper(learn, _numbered(parts)):
        if one is not None:
            found.append(one)
            count += len(one.user_ids)
        if count >= fit_users:
            break
    if count < LEAST_USERS:
        raise TooLittleDataError(
            f"users with {LEAST_TURNS} turns to find personas in", count, LEAST_USERS
        )
    n = np.concatenate([one.n for one in found])
    sums = np.concatenate([one.sums for one in found])
    people = People(
        crowd=together([one.crowd for one in found]),
        means=sums / n[:, None].astype(np.float32),
        n=n,
        held=np.concatenate([one.held for one in found]),
        judged=partial(_judged, parts, mapper),
    )
    ids = [user_id for one in found for user_id in one.user_ids]
    return Gathered(people, ids, pl.concat([one.sample for one in found]))


def part_people(part: _Part, *, share: float, seed: int) -> _PartPeople | None:
    """What one part says of its users: pure, the function both runners apply; None of nobody."""
    number, turns = part[0], _learnable(part)
    if turns.is_empty():
        return None
    vectors = matrix(turns["vector"])
    ids, users = np.unique(turns["user_id"].to_numpy(), return_inverse=True)
    talks = codes(turns["conversation_id"].to_numpy())
    sums, n = group_sums(vectors, users)
    drawn = pl.col("turn_id").hash(seed).cast(pl.Float64) < share * _HASHES
    return _PartPeople(
        crowd=crowd_of(vectors, users, talks, seed=[seed, number]),
        user_ids=ids.tolist(),
        sums=sums.astype(np.float32),
        n=n,
        held=is_held(np.arange(len(ids))),
        sample=turns.filter(drawn).select("user_id", "turn_id", "vector"),
    )


def part_judged(part: _Part, *, space: Subspace) -> tuple[RealArray, IntArray]:
    """Turns [M, d] of a part's held users in a subspace, in order of time, and codes of users."""
    turns = _learnable(part)
    users = codes(turns["user_id"].to_numpy())
    held = is_held(users)
    if not held.any():
        return np.zeros((0, space.projection.shape[1])), np.zeros(0, np.int64)
    return space.transform(matrix(turns["vector"].filter(pl.Series(held)))), users[held]


def _judged(parts: Parts, mapper: Mapper, space: Subspace) -> tuple[RealArray, IntArray]:
    turns, owners, users, rows = [], [], 0, 0
    for points, own in mapper(partial(part_judged, space=space), _numbered(parts)):
        turns.append(points)
        owners.append(own + users)
        users += int(own.max(initial=-1)) + 1
        rows += len(own)
        if rows >= JUDGED_TURNS:
            break
    return np.concatenate(turns), np.concatenate(owners)


def _learnable(part: _Part) -> pl.DataFrame:
    """Turns with a vector of users who wrote enough, by user and time, the newest of each."""
    _, turns, vectors = part
    known = vectors.select("turn_id", "vector").unique("turn_id", keep="first")
    several = pl.len().over("user_id") >= LEAST_TURNS
    told = turns.join(known, on="turn_id").filter(several).sort("user_id", "ts", "turn_index")
    return told.group_by("user_id", maintain_order=True).tail(MOST_TURNS)


def _numbered(parts: Parts) -> Iterator[_Part]:
    for number, (turns, vectors) in enumerate(parts.items("turns", "vectors")):
        yield number, turns, vectors


def _vectors(lake: Lake, encoder_id: str, tenant: str) -> pl.LazyFrame:
    rows = lake.scan("turn_embeddings")
    mine = rows.filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id)
    return mine.select("user_id", "turn_id", "vector")


def texts_of(lake: Lake, turn_ids: Sequence[str], *, tenant: str) -> pl.DataFrame:
    """Columns `turn_id, text` of turns that may be learned from."""
    wanted = pl.LazyFrame({"turn_id": turn_ids}, schema={"turn_id": pl.String})
    turns = messages_of(lake, purpose="train", also=("infer_affect",), tenant=tenant)
    return turns.join(wanted, on="turn_id", how="semi").select("turn_id", "text").collect()
