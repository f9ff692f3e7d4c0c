"""From the lake's turns to turn vectors and user vectors, computing only what is missing.

The text encoder comes in as a stream: `stream_turns` runs it in this process,
`rapport.cluster.data.stream_texts` by Ray Data; both give the same vectors.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from rapport.bounds import HELD_TEXTS
from rapport.known import KnownKeys
from rapport.lake import Lake
from rapport.progress import progress
from rapport.text import TextEncoder
from rapport.users.encoder import UserEncoder
from rapport.users.parts import Mapper
from rapport.users.states import (
    PURPOSE,
    Kept,
    StateSettings,
    aligned,
    lists,
    rows_of,
    update_states,
)
from rapport.users.timelines import messages_of

__all__ = ["aligned", "rows_of"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

Block = tuple[IntArray, FloatArray]
"""Rows of the texts that are done, and their vectors."""
Stream = Callable[[Sequence[str]], Iterator[Block]]
"""Embeds texts block by block, every row once, blocks in any order."""
BLOCK = 1024
"""Texts of a block: enough to sort by length and pad little, few enough to stop in seconds."""
_APPENDED = 4096  # turn vectors a commit to the lake


@dataclass(frozen=True)
class EmbedCounts:
    """What a run of `embed_users` did; `left` turns found no time."""

    turns: int
    known: int
    embedded: int
    left: int
    users: int
    """Users of the tenant."""
    computed: int
    """Users whose vector was computed; the others had nothing new."""
    fitted: bool
    """Whether the user encoder was fitted anew rather than kept."""


def embed_turns(texts: Sequence[str], encoder: TextEncoder) -> FloatArray:
    """Vectors [N, D] of N texts, in their order."""
    return encoder.encode(texts)


def stream_turns(texts: Sequence[str], encoder: TextEncoder) -> Iterator[Block]:
    """Embed texts in this process, block by block."""
    for start in range(0, len(texts), BLOCK):
        part = texts[start : start + BLOCK]
        yield np.arange(start, start + len(part)), embed_turns(part, encoder)


@dataclass(frozen=True)
class EmbedSettings(StateSettings):
    """How turns and users are embedded."""

    budget_s: float | None = None
    """Seconds for turn vectors; turns left over wait for the next run."""
    held_texts: int = HELD_TEXTS
    """Texts read and embedded at once; bounds memory."""


def embed_users(
    lake: Lake,
    *,
    stream: Stream,
    encoder_id: str,
    settings: EmbedSettings = EmbedSettings(),
    work: Path | None = None,
    mapper: Mapper = map,
) -> tuple[UserEncoder, EmbedCounts]:
    """Bring `turn_embeddings` and `user_embeddings` up to date.

    Turn vectors are appended as they come, so a run that was stopped goes on where it was. Which
    users are computed, and when the user encoder is fitted anew: see
    `rapport.users.states.update_states`. Memory is bounded by `held_texts` and `held_turns`.

    Args:
        lake: Read for the purpose `infer_affect`.
        stream: Runs the text encoder.
        encoder_id: Names the encoder; vectors of another one are not reused.
        settings: How.
        work: Folder that keeps the user encoder and what it has seen from run to run; none
            computes all users anew.
        mapper: Runs the parts of users.

    Raises:
        TooLittleDataError: No message may be embedded.
    """
    turns, missing, embedded = embed_missing(
        lake, stream=stream, encoder_id=encoder_id, settings=settings
    )
    updated = update_states(
        lake,
        encoder_id=encoder_id,
        settings=settings,
        kept=Kept.load(work) if work else None,
        mapper=mapper,
    )
    if work:
        updated.kept.save(work)
    counts = EmbedCounts(
        turns=turns,
        known=turns - missing,
        embedded=embedded,
        left=missing - embedded,
        users=updated.users,
        computed=updated.computed,
        fitted=updated.fitted,
    )
    return updated.kept.encoder, counts


def embed_missing(
    lake: Lake, *, stream: Stream, encoder_id: str, settings: EmbedSettings
) -> tuple[int, int, int]:
    """Bring `turn_embeddings` alone up to date, as `embed_users` does.

    Returns:
        Turns that may be embedded, those that had no vector, and those that have one now.
    """
    turns, missing = _counts(lake, encoder_id, settings.tenant)
    embedded = _append_missing(
        lake, missing, stream=stream, encoder_id=encoder_id, settings=settings
    )
    return turns, missing, embedded


def missing_turns(lake: Lake, *, encoder_id: str, tenant: str = "default") -> int:
    """How many turns `embed_users` would embed now: what to choose its runner by."""
    return _counts(lake, encoder_id, tenant)[1]


def turn_vectors(lake: Lake, *, encoder_id: str, tenant: str = "default") -> pl.DataFrame:
    """Turn vectors of one encoder: columns `turn_id, vector`."""
    return (
        lake.scan("turn_embeddings")
        .filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id)
        .select("turn_id", "vector")
        .unique("turn_id", keep="any")
        .collect()
    )


def _counts(lake: Lake, encoder_id: str, tenant: str) -> tuple[int, int]:
    """Number of turns that may be embedded, and of those without a vector of this encoder."""
    wrote = messages_of(lake, purpose=PURPOSE, tenant=tenant).select("turn_id")
    known = _known(lake, encoder_id, tenant)
    turns = missing = 0
    for batch in lake.batches(wrote):
        turns += batch.height
        missing += batch.height - int(known.holds(batch).sum())
    return turns, missing


def _known(lake: Lake, encoder_id: str, tenant: str) -> KnownKeys:
    known = KnownKeys()
    rows = lake.scan("turn_embeddings").filter(
        pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id
    )
    for batch in lake.batches(rows.select("turn_id")):
        known.add(batch)
    return known


def _missing(lake: Lake, *, encoder_id: str, settings: EmbedSettings) -> Iterator[pl.DataFrame]:
    """Turns without a vector, some at a time, each time the longest texts first."""
    known = _known(lake, encoder_id, settings.tenant)
    wrote = messages_of(lake, purpose=PURPOSE, tenant=settings.tenant)
    waiting: list[pl.DataFrame] = []
    for batch in lake.batches(wrote.select("tenant", "turn_id", "user_id", "ts", "text")):
        waiting.append(batch.filter(~pl.Series(known.holds(batch.select("turn_id")))))
        if sum(frame.height for frame in waiting) >= settings.held_texts:
            yield _longest_first(waiting)
            waiting = []
    yield _longest_first(waiting)


def _longest_first(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if not frames:
        return pl.DataFrame()
    length = pl.col("text").str.len_bytes()
    return pl.concat(frames).sort(length, descending=True, maintain_order=True)


def _append_missing(
    lake: Lake, missing: int, *, stream: Stream, encoder_id: str, settings: EmbedSettings
) -> int:
    if not missing:
        return 0
    deadline = time.monotonic() + (settings.budget_s or np.inf)
    done = 0
    with progress("embedding turns", missing) as advance:
        for turns in _missing(lake, encoder_id=encoder_id, settings=settings):
            for rows in _embedded(lake, turns, stream=stream, encoder_id=encoder_id):
                done += rows
                advance(rows)
                if time.monotonic() > deadline:
                    return done
    return done


def _embedded(lake: Lake, turns: pl.DataFrame, *, stream: Stream, encoder_id: str) -> Iterator[int]:
    """Embed and append turns; gives the number of each block, which may wait to be appended."""
    waiting: list[Block] = []
    try:
        for rows, vectors in stream(turns["text"].to_list()) if turns.height else ():
            waiting.append((rows, vectors))
            if sum(len(block[0]) for block in waiting) >= _APPENDED:
                _append(lake, turns, waiting, encoder_id)
                waiting = []
            yield len(rows)
    finally:
        _append(lake, turns, waiting, encoder_id)


def _append(lake: Lake, turns: pl.DataFrame, blocks: list[Block], encoder_id: str) -> None:
    if not blocks:
        return
    rows = np.concatenate([block[0] for block in blocks])
    vectors = np.concatenate([block[1] for block in blocks])
    table = turns[rows].select("tenant", "turn_id", "user_id", "ts").to_arrow()
    table = table.append_column("encoder_id", pa.array([encoder_id] * len(rows)))
    lake.append(
        "turn_embeddings", table.append_column("vector", lists(vectors)), writer="embed_users"
    )
