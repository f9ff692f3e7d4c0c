"""The relay: from the outbox into the lake, every row exactly once."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from rapport.errors import RowError
from rapport.schema import to_table
from rapport.store.outbox import Entry
from rapport.store.records import decoded
from rapport.store.store import Store

BATCH_ROWS = 2000
"""Rows of one append; bounds the relay's memory."""


class Destination(Protocol):
    """What the relay needs of the lake; see `rapport.lake.Lake`."""

    def written(self, table: str, *, writer: str) -> int:
        """Latest version a writer has committed to a table, -1 before its first."""

    def append(
        self,
        table: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        writer: str,
        version: int,
        after: int | None = None,
    ) -> bool:
        """Append rows in one commit, only where the writer's latest version is `after`."""


class _Batch(NamedTuple):
    """Some entries in order: rows that fit the schema, and refused ones by their number."""

    rows: list[dict[str, Any]]
    refused: dict[int, dict[str, Any]]
    last: int


def relay(store: Store, lake: Destination, *, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Move what waits in the outbox to the lake's tables of the same names.

    Killed at any point, or run by several processes at once, it loses no row and doubles none:
    the lake itself knows how far this store's rows came, since each append carries their last
    number as its version. The store's own position only follows it.

    A row that does not fit the schema holds nobody up: `quarantine` gets its id and the reason,
    once, and the store keeps the row itself.

    Returns:
        Rows this call moved, by table, `quarantine` among them.
    """
    moved: dict[str, int] = {}
    for table in store.outbox.waiting():
        for name, count in _relay_table(store, lake, table, batch_rows=batch_rows).items():
            moved[name] = moved.get(name, 0) + count
    return moved


def _relay_table(store: Store, lake: Destination, table: str, *, batch_rows: int) -> dict[str, int]:
    writer = f"outbox/{store.id}/{table}"
    moved = {table: 0}
    while True:
        reached = lake.written(table, writer=writer)
        position = store.outbox.position(table)
        if reached > position:  # a relay died between its append and its note
            store.outbox.arrived(table, up_to=reached)
        after = max(reached, position)
        entries = store.outbox.entries(table, after=after, limit=batch_rows)
        if not entries:
            return moved
        batch = _sorted_out(table, entries)
        refused = _quarantine(lake, batch, writer=writer)
        if refused:
            moved["quarantine"] = moved.get("quarantine", 0) + refused
        if lake.append(table, batch.rows, writer=writer, version=batch.last, after=reached):
            moved[table] += len(batch.rows)
            store.outbox.arrived(table, up_to=batch.last)


def _sorted_out(table: str, entries: Sequence[Entry]) -> _Batch:
    try:
        rows = [decoded(table, entry.payload) for entry in entries]
        to_table(table, rows)
        return _Batch(rows, {}, entries[-1].seq)
    except RowError:
        return _sorted_out_one_by_one(table, entries)


def _sorted_out_one_by_one(table: str, entries: Sequence[Entry]) -> _Batch:
    rows, refused = [], {}
    for entry in entries:
        try:
            row = decoded(table, entry.payload)
            to_table(table, [row])
            rows.append(row)
        except RowError as error:
            refused[entry.seq] = _refused(table, entry, error)
    return _Batch(rows, refused, entries[-1].seq)


def _refused(table: str, entry: Entry, error: RowError) -> dict[str, Any]:
    """A row of `quarantine`; of what was said there is nothing in it."""
    return {
        "tenant": entry.tenant,
        "ts": datetime.now(UTC),
        "source": "outbox",
        "position": f"{table} {entry.seq}",
        "reason": error.reason,
        "field": error.field,
        "row": json.dumps({"row_id": entry.row_id}),
    }


def _quarantine(lake: Destination, batch: _Batch, *, writer: str) -> int:
    """Append the refused rows that a relay which died did not append already."""
    while batch.refused:
        reached = lake.written("quarantine", writer=writer)
        fresh = {seq: row for seq, row in batch.refused.items() if seq > reached}
        if not fresh:
            break
        rows, last = list(fresh.values()), max(fresh)
        if lake.append("quarantine", rows, writer=writer, version=last, after=reached):
            return len(rows)
    return 0
