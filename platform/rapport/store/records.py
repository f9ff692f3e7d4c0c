"""Rows of schema version 1 as the store keeps them: checked once, exact both ways."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from rapport.errors import RowError, UnknownNameError
from rapport.schema import new_id, schema_of, to_table
from rapport.store import tables
from rapport.store.minds import MindState
from rapport.store.tables import microseconds

Rows: TypeAlias = Sequence[tuple[str, Mapping[str, Any]]]
"""(table, row of schema version 1)."""

ID_COLUMNS: Mapping[str, str] = {
    "decisions": "decision_id",
    "feedback": "feedback_id",
    "turns": "turn_id",
    "users": "user_id",
}
"""Tables the store takes rows of, and the column that names a row."""


ABANDONED = "abandoned"
"""What `degraded` says of a decision that nobody kept open or closed in time."""


@dataclass(frozen=True)
class Episode:
    """Where a conversation stands after a reply we served."""

    tenant: str
    user_id: str
    """Keyed hash."""
    prefix_hash: str
    """Hash of the messages up to and with that reply."""
    episode_id: str
    turn_index: int
    """Index the next turn of this conversation gets."""


@dataclass(frozen=True)
class Record:
    """One checked row, ready to be written."""

    table: str
    tenant: str
    row_id: str
    columns: Mapping[str, Any]
    """The table's own columns, the payload among them."""

    @property
    def payload(self) -> str:
        """The whole row as JSON."""
        return str(self.columns["payload"])


class Opened(NamedTuple):
    """A decision whose reply is about to be said."""

    record: Record
    until: datetime | None
    """When it is abandoned unless somebody says that it is not; none for the default."""


@dataclass(frozen=True)
class Change:
    """What one caller writes, all of it or nothing."""

    rows: tuple[Record, ...] = ()
    opened: tuple[Opened, ...] = ()
    closed: tuple[Record, ...] = ()
    """Opened decisions as they ended; one that is closed already stays as it is."""
    episodes: tuple[Episode, ...] = ()
    minds: tuple[MindState, ...] = ()

    @classmethod
    def of(
        cls,
        rows: Rows = (),
        *,
        opens: Mapping[str, Any] | None = None,
        until: datetime | None = None,
        closes: Mapping[str, Any] | None = None,
        episodes: Sequence[Episode] = (),
        minds: Sequence[MindState] = (),
    ) -> "Change":
        """Check rows and make them ready to write.

        Args:
            rows: (table, row of schema version 1); tables decisions, feedback, turns, users.
            opens: A decision whose reply is about to be said; it reaches the lake once closed.
            until: When that decision is abandoned unless it is kept open or closed by then; by
                default `tables.ABANDONED_AFTER` later.
            closes: An opened decision as it ended.
            episodes: Where conversations stand now; replaces what was known of a prefix.
            minds: Users as they were heard now; never over what was heard later.

        Raises:
            UnknownNameError: A table the store does not take.
            RowError: A row does not fit its schema; no text of it is in the message.
        """
        return cls(
            rows=records(rows),
            opened=tuple(Opened(one, until) for one in records(_decision(opens))),
            closed=records(_decision(closes)),
            episodes=tuple(episodes),
            minds=tuple(minds),
        )


def records(rows: Rows) -> tuple[Record, ...]:
    """Check rows against the schema and make them ready to write.

    Raises:
        UnknownNameError: A table the store does not take.
        RowError: A row does not fit its schema; no text of it is in the message.
    """
    return tuple(_record(table, row) for table, row in rows)


def decoded(table: str, payload: str) -> dict[str, Any]:
    """The row a payload was made from: every column, floats bit for bit, times in UTC.

    Raises:
        RowError: It was damaged since, or a Rapport of another schema wrote it.
    """
    try:
        row: dict[str, Any] = json.loads(payload)
        for name in _times(schema_of(table)):
            if row.get(name) is not None:
                row[name] = datetime.fromisoformat(row[name])
    except (ValueError, TypeError, AttributeError) as error:
        raise RowError(table, f"its payload cannot be read ({type(error).__name__})") from error
    return row


def _decision(row: Mapping[str, Any] | None) -> Rows:
    return [] if row is None else [("decisions", row)]


def _record(table: str, row: Mapping[str, Any]) -> Record:
    if table not in ID_COLUMNS:
        raise UnknownNameError("table of the store", table, sorted(ID_COLUMNS))
    schema = schema_of(table)
    for name in _times(schema):
        moment = row.get(name)
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise RowError(f"{table}.{name}", "needs a time zone")
    whole = to_table(table, [row]).to_pylist(maps_as_pydicts="strict")[0]
    row_id = str(whole[ID_COLUMNS[table]])
    if table == "users":  # a profile has many versions, all of which go to the lake
        row_id = new_id()
    payload = json.dumps(whole, default=datetime.isoformat, ensure_ascii=False)
    columns = {
        column.name: microseconds(whole["ts"]) if column.name == "ts" else whole[column.name]
        for column in tables.metadata.tables[table].columns
        if column.name != "payload"
    }
    return Record(table, str(whole["tenant"]), row_id, columns | {"payload": payload})


def _times(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_timestamp(field.type)]
