"""The outbox: committed rows on their way to the lake, numbered in the order of commits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from rapport.store import tables
from rapport.store.database import Database
from rapport.store.records import decoded


@dataclass(frozen=True)
class Entry:
    """One row that is not in the lake yet, as far as the store knows."""

    seq: int
    tenant: str
    row_id: str
    payload: str
    """The row as `rapport.store.records` wrote it; it may have been damaged since."""


class Outbox:
    """Read what waits and note what arrived. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self) -> dict[str, int]:
        """How many rows of each table wait."""
        table = tables.outbox.c.table_name
        query = select(table, func.count()).group_by(table).order_by(table)
        with self._database.reading() as connection:
            return {str(name): int(count) for name, count in connection.execute(query)}

    def oldest(self) -> datetime | None:
        """When the row that waits longest was made, none when nothing waits.

        Raises:
            RowError: Its payload was damaged.
        """
        columns = tables.outbox.c
        query = select(columns.table_name, columns.payload).order_by(columns.seq).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        ts: datetime | None = decoded(row.table_name, row.payload).get("ts")
        return ts

    def entries(self, table: str, *, after: int, limit: int) -> list[Entry]:
        """The first `limit` rows of a table with numbers above `after`, in order."""
        columns = tables.outbox.c
        query = (
            select(columns.seq, columns.tenant, columns.row_id, columns.payload)
            .where(columns.table_name == table, columns.seq > after)
            .order_by(columns.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return [Entry(*row) for row in found]

    def position(self, table: str) -> int:
        """Number of the last row of a table that is known to be in the lake, 0 at first."""
        query = select(tables.relayed.c.seq).where(tables.relayed.c.table_name == table)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def arrived(self, table: str, *, up_to: int) -> None:
        """Note that rows up to this number are in the lake and drop their entries."""
        position, waiting = tables.relayed, tables.outbox.c
        mine = position.c.table_name == table
        with self._database.writing() as connection:
            known = connection.scalar(select(position.c.seq).where(mine))
            if known is None:
                connection.execute(insert(position).values(table_name=table, seq=up_to))
            elif known < up_to:
                connection.execute(update(position).where(mine).values(seq=up_to))
            passed = (waiting.table_name == table, waiting.seq <= up_to)
            connection.execute(delete(tables.outbox).where(*passed))
