"""Kill switches for arms, personas and adapters; every turn of one is kept."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import func, insert, select

from rapport.errors import UnknownNameError
from rapport.store.database import Database
from rapport.store.tables import microseconds, moment, switches

Kind = Literal["arm", "persona", "adapter"]


@dataclass(frozen=True)
class Switch:
    """One turn of a switch."""

    kind: str
    name: str
    off: bool
    by: str
    ts: datetime


class Switches:
    """What people have switched off. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def turn(self, kind: Kind, name: str, *, off: bool, by: str) -> None:
        """Switch something off, or on again.

        Args:
            kind: What it is.
            name: Which one.
            off: True to disable.
            by: Who did it, for the record.

        Raises:
            UnknownNameError: Such things have no switch.
        """
        if kind not in get_args(Kind):
            raise UnknownNameError("kind of switch", kind, get_args(Kind))
        row = {"kind": kind, "name": name, "off": off, "by": by}
        with self._database.writing() as connection:
            now = microseconds(datetime.now(UTC))
            connection.execute(insert(switches).values(**row, ts=now))

    def off(self) -> frozenset[tuple[str, str]]:
        """(kind, name) of everything that is off now."""
        latest = select(func.max(switches.c.seq)).group_by(switches.c.kind, switches.c.name)
        query = select(switches.c.kind, switches.c.name).where(
            switches.c.seq.in_(latest), switches.c.off
        )
        with self._database.reading() as connection:
            return frozenset((kind, name) for kind, name in connection.execute(query))

    def history(self) -> list[Switch]:
        """Every turn of every switch, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(switches).order_by(switches.c.seq)).all()
        return [Switch(row.kind, row.name, row.off, row.by, moment(row.ts)) for row in rows]
