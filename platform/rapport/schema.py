"""Schema version 1: the rows of the lake as Arrow schemas, and the ids they carry."""

import hashlib
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from rapport.errors import RowError, UnknownNameError

SCHEMA_VERSION = 1
PURPOSES = (
    "serve",
    "memory",
    "analytics",
    "train",
    "experiment",
    "infer_affect",
    "proactive",
)
"""What a row may be used for; a row carries the ones its user agreed to."""
CRISIS_FACET = "crisis"
"""Facet of a turn that spoke of a crisis, and guard of the candidates weighed beside it."""
CRISIS_TEXT = "[CRISIS]"
"""Stands where such a turn's text was."""

_TEXT, _REAL, _TIME = pa.string(), pa.float64(), pa.timestamp("us", tz="UTC")
_VECTOR = pa.list_(pa.float32())
_NUMBERS, _STRINGS = pa.map_(_TEXT, _REAL), pa.map_(_TEXT, _TEXT)
_COUNTS = pa.map_(_TEXT, pa.int64())


def _need(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _may(*names: str, kind: pa.DataType = _TEXT) -> list[pa.Field]:
    return [pa.field(name, kind) for name in names]


_EVENT = [
    _need("tenant", _TEXT),
    _need("ts", _TIME),
    _need("ts_source", _TEXT),  # given, received, estimated
    _need("user_id", _TEXT),  # keyed hash, see rapport.home.user_key
    _need("agent_id", _TEXT),
    *_may("journey_id"),
    _need("purposes", pa.list_(_TEXT)),
    _need("groups", _STRINGS),
    _need("source", _TEXT),  # serve, simulation, or the ingest format
]

CANDIDATE = pa.struct(
    [
        _need("candidate_id", _TEXT),
        *_may("arm", "text"),
        _need("origin", _TEXT),  # adapter, base, upstream, library, client, fallback, log
        *_may("nlp_score", "rec_score", kind=_REAL),
        _need("probability", _REAL),
        pa.field("features", _NUMBERS),
        *_may("guard"),
    ]
)

SCHEMAS: dict[str, pa.Schema] = {
    "turns": pa.schema(
        [
            *_EVENT,
            _need("conversation_id", _TEXT),  # equals episode_id
            _need("turn_id", _TEXT),
            _need("turn_index", pa.int32()),  # 0-based over the conversation's turns
            _need("role", _TEXT),  # user, assistant, tool
            *_may("text"),
            _need("kind", _TEXT),  # message, click, rating, dwell, task_step, ...
            *_may("task_id", "topic", "goal", "arm", "emotion"),
            *_may("sentiment", kind=_REAL),
            *_may("facet"),
            pa.field("features", _NUMBERS),
        ]
    ),
    "decisions": pa.schema(
        [
            *_EVENT,
            _need("decision_id", _TEXT),
            _need("inference_id", _TEXT),
            _need("episode_id", _TEXT),
            _need("turn_index", pa.int32()),  # of the reply's turn
            *_may("persona_id", "persona_version"),
            *_may("persona_margin", kind=_REAL),
            pa.field("context_embedding", _VECTOR),
            *_may("encoder_id"),
            pa.field("features", _NUMBERS),
            _need("mode", _TEXT),  # observe, arm_first, rerank, rank, control
            _need("delivered", _TEXT),  # full, guard_replaced, fallback, pinned, control, ...
            _need("candidates", pa.list_(CANDIDATE)),
            _need("action_index", pa.int32()),  # 0-based
            _need("propensity", _REAL),
            _need("propensity_source", _TEXT),  # logged, estimated, simulated
            _need("explored", pa.bool_()),
            *_may("policy_id", "policy_version", "release_id"),
            *_may("rng_seed", kind=pa.int64()),
            *_may("latency_ms", kind=_REAL),
            *_may("tokens_in", "tokens_out", kind=pa.int32()),
            *_may("degraded"),
        ]
    ),
    "feedback": pa.schema(
        [
            *_EVENT,
            _need("feedback_id", _TEXT),
            *_may("decision_id", "episode_id"),
            _need("metric_name", _TEXT),
            *_may("value", kind=_REAL),
            *_may("text"),
            *_may("sentiment", kind=_REAL),
        ]
    ),
    "rewards": pa.schema(
        [
            *_EVENT,
            _need("decision_id", _TEXT),
            _need("reward_version", pa.int32()),
            _need("value", _REAL),  # in [-1, 1]
            _need("channels", _NUMBERS),
            _need("as_of", _TIME),
        ]
    ),
    "users": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("user_id", _TEXT),
            _need("attributes", _STRINGS),
            _need("preferences", _STRINGS),
            _need("set_by", _TEXT),  # user, tenant, inferred
            _need("ts", _TIME),
        ]
    ),
    "quarantine": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("ts", _TIME),
            _need("source", _TEXT),
            _need("position", _TEXT),  # file name and line, dialogue or row
            _need("reason", _TEXT),
            *_may("field", "row"),  # row is redacted
        ]
    ),
    "turn_embeddings": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("turn_id", _TEXT),
            _need("user_id", _TEXT),
            _need("encoder_id", _TEXT),
            _need("ts", _TIME),
            _need("vector", _VECTOR),
        ]
    ),
    "user_embeddings": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("user_id", _TEXT),
            _need("encoder_id", _TEXT),
            _need("last_event_ts", _TIME),
            _need("vector", _VECTOR),
        ]
    ),
    "persona_assignments": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("user_id", _TEXT),
            _need("persona_id", _TEXT),
            _need("persona_version", _TEXT),
            _need("probability", _REAL),
            _need("margin", _REAL),
        ]
    ),
    "metrics": pa.schema(
        [
            _need("release_id", _TEXT),
            _need("name", _TEXT),
            _need("group", _TEXT),
            *_may("estimate", "low", "high", kind=_REAL),
            _need("n", pa.int64()),
        ]
    ),
    "lineage": pa.schema(
        [
            _need("release_id", _TEXT),
            _need("part", _TEXT),
            _need("table", _TEXT),
            _need("table_version", pa.int64()),
            *_may("user_id"),  # keyed hash, where erasure needs it
        ]
    ),
    "runs": pa.schema(
        [
            _need("tenant", _TEXT),
            _need("run_id", _TEXT),
            _need("job", _TEXT),
            _need("status", _TEXT),  # done, refused, stopped, failed, interrupted, killed
            _need("started", _TIME),
            _need("seconds", _REAL),
            *_may("peak_memory_bytes", kind=pa.int64()),
            _need("host", _TEXT),
            _need("pid", pa.int64()),
            _need("code_version", _TEXT),
            _need("config", _TEXT),  # resolved, JSON
            _need("config_hash", _TEXT),
            _need("inputs_hash", _TEXT),  # of config, code, and all that the job reads
            pa.field("versions_in", _COUNTS),  # of each table read
            pa.field("versions_out", _COUNTS),  # of each table written
            pa.field("rows_in", _COUNTS),  # of each table read, at its version
            pa.field("rows_out", _COUNTS),  # of each table written, afterwards
            pa.field("parts_in", _STRINGS),  # digest of each part read
            pa.field("parts_out", _STRINGS),
            *_may("error", "result"),  # code of an error; what the job returned, JSON
        ]
    ),
}

EVENT_TABLES = tuple(name for name, schema in SCHEMAS.items() if "purposes" in schema.names)
"""Tables whose rows carry purposes: every read of them names the purpose it serves."""


def schema_of(table: str) -> pa.Schema:
    """Arrow schema of a table.

    Raises:
        UnknownNameError: No such table in schema version 1.
    """
    try:
        return SCHEMAS[table]
    except KeyError:
        raise UnknownNameError("table", table, sorted(SCHEMAS)) from None


def to_table(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Build an Arrow table of the named schema from row dictionaries.

    Missing nullable fields become null.

    Raises:
        RowError: A key is not a column, a value has the wrong type, or a required one is missing.
    """
    schema = schema_of(table)
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise RowError(f"{table}.{min(unknown)}", f"not a column of schema {SCHEMA_VERSION}")
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if not field.nullable and any(value is None for value in values):
            raise RowError(f"{table}.{field.name}", "is required and was missing")
        try:
            columns.append(pa.array(values, type=field.type))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise RowError(f"{table}.{field.name}", f"needs {field.type}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def new_id() -> str:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, then random bits (RFC 9562)."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return str(uuid.UUID(int=_stamped(value, version=7)))


def content_id(*parts: object) -> str:
    """A UUIDv8 from sha256 of the parts: the same content always gets the same id (RFC 9562)."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return str(uuid.UUID(int=_stamped(int.from_bytes(digest[:16], "big"), version=8)))


def _stamped(value: int, *, version: int) -> int:
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return value | version << 76 | 0x2 << 62
