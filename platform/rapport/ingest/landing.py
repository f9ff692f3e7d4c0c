"""Rows into the lake, each once: looked up by content before they are appended."""

from collections import defaultdict
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from rapport.known import KnownKeys
from rapport.lake import Lake

WRITER = "ingest"
KEYS = {
    "turns": ("tenant", "turn_id"),
    "decisions": ("tenant", "decision_id"),
    "feedback": ("tenant", "feedback_id"),
    "users": ("tenant", "user_id", "set_by", "ts"),
    "quarantine": ("tenant", "source", "position", "field", "reason", "row"),
}
"""Columns by which a row is known again; the order of the tables is that of writing."""


class Landed(NamedTuple):
    """What became of some rows of one table."""

    fresh: pl.DataFrame
    """Those that were new; appended, the first of each key."""
    duplicate: int
    """The others."""


class Landing:
    """Appends the rows of an ingest that the lake does not hold yet, chunk by chunk.

    Every data file's keys are read once, when it is first met, and kept as 16 bytes a row: n rows
    in chunks cost what they cost at once. Several processes may ingest the same file: an append
    stands only on the version of this writer that the look-up saw, else the look-up is made
    again. A run that was killed between two chunks or tables is completed by the next.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, KnownKeys] = defaultdict(KnownKeys)
        self._files: dict[str, frozenset[str]] = defaultdict(frozenset)

    def land(self, table: str, rows: pa.Table) -> Landed:
        """Append the rows of a table that are not there."""
        keys = list(KEYS[table])
        frame = pl.DataFrame(rows)
        first = frame.unique(subset=keys, keep="first", maintain_order=True)
        while True:
            reached = self._lake.written(table, writer=WRITER)
            self._learn(table)
            fresh = first.filter(~pl.Series(self._known[table].holds(first.select(keys))))
            landed = Landed(fresh, frame.height - fresh.height)
            if not fresh.height:
                return landed
            data = fresh.to_arrow()
            if self._lake.append(table, data, writer=WRITER, version=reached + 1, after=reached):
                return landed

    def _learn(self, table: str) -> None:
        """Take in the keys of data files that were not there at the last look."""
        added, self._files[table] = self._lake.keys(table, KEYS[table], beyond=self._files[table])
        for batch in added:
            self._known[table].add(batch)
