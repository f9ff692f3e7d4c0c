"""A home in which every place holds something about some users, with words that can be found."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.schema import EVENT_TABLES, to_table
from rapport.store import Episode, UserState, open_store
from rapport.testing import a_decision, a_turn, some_feedback
from rapport.testing.rows import START

_NAMES = re.compile(rb"person-\d{4}@here|wombat\d{4}told|[0-9a-f]{32}")
_EVENT = {name: a_turn()[name] for name in ("tenant", "ts", "ts_source", "agent_id", "purposes")}
_EVENT |= {"groups": {}, "source": "simulation", "user_id": ""}
_OWN = {"tenant": "default", "user_id": "", "encoder_id": "e", "vector": [0.0]}
REWARD = {
    **_EVENT, "decision_id": "d", "reward_version": 1, "value": 0.5, "channels": {}, "as_of": START,
}  # fmt: skip
PROFILE = {
    "tenant": "default", "user_id": "", "attributes": {}, "preferences": {}, "set_by": "user",
    "ts": START,
}  # fmt: skip
TURN_VECTOR = {**_OWN, "turn_id": "t", "ts": START}
USER_VECTOR = {**_OWN, "last_event_ts": START}
ASSIGNED = {
    "tenant": "default", "user_id": "", "persona_id": "wry-03", "persona_version": "1",
    "probability": 1.0, "margin": 0.5,
}  # fmt: skip
REFUSED = {
    "tenant": "default", "ts": START, "source": "simulation", "position": "p", "reason": "r",
}  # fmt: skip
APPENDS = 4
"""Commits a table is written in."""


def user(n: int) -> str:
    return f"person-{n:04d}@here"


def words(n: int) -> str:
    """What a user says: found by it, whoever else says whatever."""
    return f"wombat{n:04d}told"


def keys_of(home: Home, numbers) -> list[str]:
    return [user_key(home.secret(), "default", user(n)) for n in numbers]


def fill_lake(home: Home, *, users: int, turns: int) -> Lake:
    """Every table with a user column, in several commits: `turns` turns a user, and the rest."""
    lake, keys = Lake(home.lake), keys_of(home, range(users))
    for table, rows in _tables(keys, turns).items():
        for part in range(APPENDS):
            some = rows.filter(pl.int_range(pl.len()) % APPENDS == part)
            lake.append(table, some.to_arrow(), writer="fill", version=part)
    return lake


def fill_store(home: Home, numbers) -> None:
    store = open_store(home.store_url)
    for n, key in zip(numbers, keys_of(home, numbers), strict=True):
        name = f"{words(n)}-live"
        decision = a_decision(user_id=key, episode_id=name, decision_id=name)
        decision["candidates"][0]["text"] = words(n)
        rows = [
            ("decisions", decision),
            ("turns", a_turn(user_id=key, conversation_id=name, text=words(n))),
            ("feedback", some_feedback(user_id=key, feedback_id=name, text=words(n))),
        ]
        store.commit(rows, episodes=[Episode("default", key, f"hash {name}", name, 2)])
        vector = np.full(3, n, np.float32)
        store.put_user_states([UserState("default", key, "e", START, vector)])
    store.close()


def fill_work(home: Home, numbers) -> None:
    """A simulated log with raw ids, a list of users, and a cache that names them."""
    folder = home.work / "log-1-0"
    folder.mkdir()
    said = {"user_id": [user(n) for n in numbers], "text": [words(n) for n in numbers]}
    pl.DataFrame(said | {"tenant": "default"}).write_parquet(folder / "turns.parquet")
    keys = keys_of(home, numbers)
    (home.work / "origins").mkdir()
    origin = {"users": keys, "seed": 1, "table_versions": {"turns": 1}}
    (home.work / "origins" / "c.json").write_text(json.dumps(origin))
    for n, key in zip(numbers, keys, strict=True):
        (home.work / f"cache-{n}.bin").write_bytes(b"\x00" + key.encode() + b"\x00")


def found(home: Home, needles) -> set[str]:
    """Those of the words that are in some file of the home, as it lies or decoded."""
    wanted = set(needles)
    return {
        needle
        for path in home.root.rglob("*")
        if path.is_file()
        for part in _readings(path)
        for needle in _in(part, wanted)
    }


def contents(lake: Lake, *, without) -> dict[str, pl.DataFrame]:
    """Rows of every table that are not about some users, in an order of their own."""
    frames = {}
    for table in lake.tables():
        purpose = "serve" if table in EVENT_TABLES else None
        rows = lake.scan(table, purpose=purpose).collect()
        if "user_id" in rows.columns:
            rows = rows.filter(~pl.col("user_id").is_in(list(without)))
            order = [c for c in ("user_id", "ts", "turn_id", "decision_id") if c in rows.columns]
            frames[table] = rows.sort(order)
    return frames


def _readings(path: Path):
    yield path.read_bytes()
    if path.suffix == ".parquet":
        for column in pq.read_table(path).itercolumns():
            for text in _strings(column.combine_chunks()):
                yield text.encode()


def _strings(array: pa.Array) -> Iterator[str]:
    """Every text of a column, whatever it is nested in."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        yield "\n".join(array.unique().drop_null().to_pylist())
    elif pa.types.is_map(array.type):
        yield from _strings(array.keys)
        yield from _strings(array.items)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _strings(array.flatten())
    elif pa.types.is_struct(array.type):
        for part in array.flatten():
            yield from _strings(part)


def _tables(keys: list[str], turns: int) -> dict[str, pl.DataFrame]:
    """Rows of every table with a user column, and refused rows that name their user."""
    numbers = np.repeat(np.arange(len(keys)), turns)
    places = np.tile(np.arange(turns), len(keys))
    said = [words(int(n)) for n in numbers]
    ids = [f"{word}-{place}" for word, place in zip(said, places, strict=True)]
    owner = pl.Series("user_id", [keys[n] for n in numbers])
    events = _rows("turns", a_turn(), len(numbers)).with_columns(
        owner,
        pl.Series("text", said),
        pl.Series("turn_id", ids),
        pl.Series("turn_index", places, pl.Int32),
        ts=pl.lit(START) + pl.duration(hours=pl.lit(pl.Series(places))),
    )
    decided = _rows("decisions", a_decision(), len(keys)).with_columns(
        pl.Series("user_id", keys), pl.Series("decision_id", [f"d-{k}" for k in keys])
    )
    replies = [
        one.with_columns(
            pl.col("candidates").list.eval(pl.element().struct.with_fields(_lit(words(n))))
        )
        for n, one in enumerate(decided.iter_slices(1))
    ]
    comments = _rows("feedback", some_feedback(), len(keys)).with_columns(
        pl.Series("user_id", keys),
        pl.Series("feedback_id", [f"f-{k}" for k in keys]),
        pl.Series("text", [words(n) for n in range(len(keys))]),
    )
    vector = pl.Series("vector", [[float(n)] * 3 for n in range(len(keys))], pl.List(pl.Float32))
    person = pl.Series("user_id", keys)
    return {
        "turns": events,
        "decisions": pl.concat(replies),
        "feedback": comments,
        "rewards": _rows("rewards", REWARD, len(keys)).with_columns(person),
        "users": _rows("users", PROFILE, len(keys)).with_columns(person),
        "turn_embeddings": _rows("turn_embeddings", TURN_VECTOR, len(keys)).with_columns(
            person, vector
        ),
        "user_embeddings": _rows("user_embeddings", USER_VECTOR, len(keys)).with_columns(
            person, vector
        ),
        "persona_assignments": _rows("persona_assignments", ASSIGNED, len(keys)).with_columns(
            person
        ),
        "quarantine": _rows("quarantine", REFUSED, len(keys)).with_columns(
            pl.Series("row", [f'{{"user": "{user(n)}"}}' for n in range(len(keys))])
        ),
    }


def _rows(table: str, row: dict[str, Any], count: int) -> pl.DataFrame:
    return pl.DataFrame(to_table(table, [row]))[[0] * count]


def _lit(text: str) -> pl.Expr:
    return pl.lit(text).alias("text")


def _in(content: bytes, wanted: set[str]) -> set[str]:
    return wanted.intersection(name.decode() for name in _NAMES.findall(content))
