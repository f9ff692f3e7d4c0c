"""From the lake's turns to turn vectors and user vectors, computing only what is missing.

The text encoder comes in as a stream: `stream_turns` runs it in this process,
`rapport.cluster.data.stream_texts` by Ray Data; both give the same vectors.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.progress import progress
from rapport.text import TextEncoder
from rapport.users.encoder import HALF_LIFE_DAYS, UserEncoder, UserVectors
from rapport.users.timelines import events, messages

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

Block = tuple[IntArray, FloatArray]
"""Rows of the texts that are done, and their vectors."""
Stream = Callable[[Sequence[str]], Iterator[Block]]
"""Embeds texts block by block, every row once, blocks in any order."""
BLOCK = 1024
"""Texts of a block: enough to sort by length and pad little, few enough to stop in seconds."""
PURPOSE = "infer_affect"
"""What turns are read for here: a user's vector serves to infer persona and feeling."""
_APPENDED = 4096  # turn vectors a commit to the lake


@dataclass(frozen=True)
class EmbedCounts:
    """What a run of `embed_users` did; `left` turns found no time."""

    turns: int
    known: int
    embedded: int
    left: int
    users: int


def embed_turns(texts: Sequence[str], encoder: TextEncoder) -> FloatArray:
    """Vectors [N, D] of N texts, in their order."""
    return encoder.encode(texts)


def stream_turns(texts: Sequence[str], encoder: TextEncoder) -> Iterator[Block]:
    """Embed texts in this process, block by block."""
    for start in range(0, len(texts), BLOCK):
        part = texts[start : start + BLOCK]
        yield np.arange(start, start + len(part)), embed_turns(part, encoder)


def embed_users(
    lake: Lake,
    *,
    stream: Stream,
    encoder_id: str,
    half_life_days: float = HALF_LIFE_DAYS,
    budget_s: float | None = None,
    tenant: str = "default",
) -> tuple[UserEncoder, EmbedCounts]:
    """Bring `turn_embeddings` and `user_embeddings` up to date.

    Turn vectors are appended as they come, so a run that was stopped goes on where it was.

    Args:
        lake: Read for the purpose `infer_affect`.
        stream: Runs the text encoder.
        encoder_id: Names the encoder; vectors of another one are not reused.
        half_life_days: Days after which an event counts half.
        budget_s: Seconds for turn vectors; turns left over wait for the next run.
        tenant: Whose users.

    Raises:
        TooLittleDataError: No message may be embedded.
    """
    turns, missing = _missing(lake, encoder_id, tenant)
    embedded = _append_missing(
        lake, missing, stream=stream, encoder_id=encoder_id, budget_s=budget_s
    )
    encoder, users = encode_users(
        lake, encoder_id=encoder_id, half_life_days=half_life_days, tenant=tenant
    )
    counts = EmbedCounts(
        turns=turns,
        known=turns - missing.height,
        embedded=embedded,
        left=missing.height - embedded,
        users=len(users.user_ids),
    )
    return encoder, counts


def missing_turns(lake: Lake, *, encoder_id: str, tenant: str = "default") -> int:
    """How many turns `embed_users` would embed now: what to choose its runner by."""
    return _missing(lake, encoder_id, tenant)[1].height


def encode_users(
    lake: Lake, *, encoder_id: str, half_life_days: float, tenant: str = "default"
) -> tuple[UserEncoder, UserVectors]:
    """Fit the user encoder on the population and replace the tenant's `user_embeddings`.

    Raises:
        TooLittleDataError: No turn has a vector.
    """
    happened = events(lake, purpose=PURPOSE, tenant=tenant)
    known = turn_vectors(lake, encoder_id=encoder_id, tenant=tenant)
    rows, vectors = aligned(happened, known)
    encoder = UserEncoder.fit(
        happened, encoder_id=encoder_id, dim=vectors.shape[1], half_life_days=half_life_days
    )
    users = encoder.encode(happened, rows, vectors)
    table = pa.table(
        {
            "tenant": [tenant] * len(users.user_ids),
            "user_id": users.user_ids,
            "encoder_id": [encoder_id] * len(users.user_ids),
            "last_event_ts": users.last_event_ts.to_arrow(),
            "vector": _lists(users.vectors),
        }
    )
    lake.replace("user_embeddings", table, where=rows_of(tenant))
    return encoder, users


def turn_vectors(lake: Lake, *, encoder_id: str, tenant: str = "default") -> pl.DataFrame:
    """Turn vectors of one encoder: columns `turn_id, vector`."""
    return (
        lake.scan("turn_embeddings")
        .filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id)
        .select("turn_id", "vector")
        .unique("turn_id", keep="any")
        .collect()
    )


def rows_of(tenant: str) -> str:
    """Predicate of a tenant's rows in a derived table."""
    quoted = tenant.replace("'", "''")
    return f"tenant = '{quoted}'"


def aligned(wanted: pl.DataFrame, known: pl.DataFrame) -> tuple[IntArray, FloatArray]:
    """Row of each wanted `turn_id` in the matrix of known vectors, -1 for none, and the matrix.

    Raises:
        TooLittleDataError: Nothing is known.
    """
    if known.is_empty():
        raise TooLittleDataError("turns with a vector", 0, 1)
    numbered = known.select("turn_id").with_row_index("row")
    joined = wanted.select("turn_id").join(
        numbered, on="turn_id", how="left", maintain_order="left"
    )
    rows = joined["row"].cast(pl.Int64).fill_null(-1).to_numpy()
    width = known["vector"].list.len().item(0)
    return rows, known["vector"].list.to_array(width).to_numpy().astype(np.float32)


def _missing(lake: Lake, encoder_id: str, tenant: str) -> tuple[int, pl.DataFrame]:
    """Number of turns there are, and those that have no vector of this encoder."""
    wrote = messages(lake, purpose=PURPOSE, tenant=tenant)
    known = (
        lake.scan("turn_embeddings")
        .filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id)
        .select("turn_id")
        .collect()
    )
    return wrote.height, wrote.join(known, on="turn_id", how="anti", maintain_order="left")


def _append_missing(
    lake: Lake, missing: pl.DataFrame, *, stream: Stream, encoder_id: str, budget_s: float | None
) -> int:
    deadline = time.monotonic() + (budget_s or np.inf)
    done = 0
    waiting: list[Block] = []
    with progress("embedding turns", missing.height) as advance:
        for rows, vectors in stream(missing["text"].to_list()) if missing.height else ():
            waiting.append((rows, vectors))
            done += len(rows)
            advance(len(rows))
            late = time.monotonic() > deadline
            if late or sum(len(block[0]) for block in waiting) >= _APPENDED:
                _append(lake, missing, waiting, encoder_id)
                waiting = []
            if late:
                break
    _append(lake, missing, waiting, encoder_id)
    return done


def _append(lake: Lake, turns: pl.DataFrame, blocks: list[Block], encoder_id: str) -> None:
    if not blocks:
        return
    rows = np.concatenate([block[0] for block in blocks])
    vectors = np.concatenate([block[1] for block in blocks])
    table = turns[rows].select("tenant", "turn_id", "user_id", "ts").to_arrow()
    table = table.append_column("encoder_id", pa.array([encoder_id] * len(rows)))
    lake.append(
        "turn_embeddings", table.append_column("vector", _lists(vectors)), writer="embed_users"
    )


def _lists(vectors: FloatArray) -> pa.ListArray:
    """[N, D] as a column of `list<float32>`."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
