"""A small timeline and its turn vectors, and a lake that holds one."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from rapport.lake import Lake
from rapport.testing import a_turn, some_feedback

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DIM = 4


def a_timeline(*, users: int = 5, events: int = 12, seed: int = 0):
    """Random events of users, the row of each message's vector, and the vectors."""
    rng = np.random.default_rng(seed)
    frames = []
    for user in range(users):
        kinds = rng.choice(["message", "dwell", "rating", "click"], events, p=[0.5, 0.2, 0.2, 0.1])
        hours = np.sort(rng.exponential(40.0, events).cumsum())
        values = np.where(
            kinds == "dwell",
            rng.exponential(8.0, events),
            np.where(kinds == "rating", rng.integers(1, 6, events), np.nan),
        )
        frames.append(
            pl.DataFrame(
                {
                    "user_id": [f"user-{user}"] * events,
                    "ts": [START + dt.timedelta(hours=float(hour)) for hour in hours],
                    "kind": kinds.astype(str),
                    "value": values,
                }
            )
        )
    timeline = pl.concat(frames).with_columns(pl.col("value").fill_nan(None))
    told = (timeline["kind"] == "message").to_numpy()
    rows = np.where(told, told.cumsum() - 1, -1)
    vectors = rng.normal(size=(int(told.sum()), DIM)).astype(np.float32)
    return timeline, rows, vectors


def a_lake(
    root: Path, *, users: int = 3, turns: int = 4, without: Sequence[str] = (), **columns
) -> Lake:
    """A lake of short conversations with a rating each; `without` drops these purposes."""
    lake = Lake(root)
    said, told = [], []
    for user in range(users):
        key, talk = f"{user:032x}", f"conversation-{user}"
        for index in range(2 * turns):
            ts = START + dt.timedelta(days=user, minutes=index)
            row = a_turn(
                user_id=key,
                conversation_id=talk,
                turn_index=index,
                ts=ts,
                text=f"words of turn {index} by {user}",
                **columns,
            )
            said.append({**row, "purposes": [p for p in row["purposes"] if p not in without]})
        told.append(
            some_feedback(user_id=key, feedback_id=f"f-{user}", ts=START + dt.timedelta(days=90))
        )
    lake.append("turns", said, writer="test")
    lake.append("feedback", told, writer="test")
    return lake


def words_stream(dim: int = DIM):
    """A stream in place of the text encoder: the vector is a hash of the text."""

    def stream(texts):
        for start in range(0, len(texts), 5):
            part = texts[start : start + 5]
            vectors = [np.random.default_rng(list(t.encode())).normal(size=dim) for t in part]
            yield np.arange(start, start + len(part)), np.array(vectors, np.float32)

    return stream
