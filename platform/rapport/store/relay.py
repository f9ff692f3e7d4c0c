"""The relay: from the outbox into the lake, every row exactly once."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
        after: int,
    ) -> bool:
        """Append rows in one commit, only where the writer's latest version is `after`."""


def relay(store: Store, lake: Destination, *, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Move what waits in the outbox to the lake's tables of the same names.

    Killed at any point, or run by several processes at once, it loses no row and doubles none:
    the lake itself knows how far this store's rows came, since each append carries their last
    number as its version. The store's own position only follows it.

    Returns:
        Rows this call moved, by table.
    """
    return {
        table: _relay_table(store, lake, table, batch_rows=batch_rows)
        for table in store.outbox.waiting()
    }


def _relay_table(store: Store, lake: Destination, table: str, *, batch_rows: int) -> int:
    writer = f"outbox/{store.id}/{table}"
    moved = 0
    while True:
        reached = lake.written(table, writer=writer)
        position = store.outbox.position(table)
        if reached > position:  # a relay died between its append and its note
            store.outbox.arrived(table, up_to=reached)
        after = max(reached, position)
        entries = store.outbox.entries(table, after=after, limit=batch_rows)
        if not entries:
            return moved
        rows, last = [entry.row for entry in entries], entries[-1].seq
        if lake.append(table, rows, writer=writer, version=last, after=reached):
            moved += len(rows)
            store.outbox.arrived(table, up_to=last)
