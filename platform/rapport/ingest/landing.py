"""Rows into the lake, each once: looked up by content before they are appended."""

from typing import NamedTuple

import polars as pl
import pyarrow as pa

from rapport.lake import Lake
from rapport.schema import EVENT_TABLES, PURPOSES

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


def land(lake: Lake, table: str, rows: pa.Table) -> Landed:
    """Append the rows of a table that the lake does not hold yet.

    Several processes may ingest the same file: an append stands only on the version of this
    writer that the look-up saw, else the look-up is made again. A run that was killed between two
    tables is completed by the next.
    """
    frame = pl.DataFrame(rows)
    first = frame.unique(subset=KEYS[table], keep="first", maintain_order=True)
    while True:
        reached = lake.written(table, writer=WRITER)
        fresh = _unknown(lake, table, first)
        landed = Landed(fresh, frame.height - fresh.height)
        if not fresh.height:
            return landed
        data = fresh.to_arrow()
        if lake.append(table, data, writer=WRITER, version=reached + 1, after=reached):
            return landed


def _unknown(lake: Lake, table: str, rows: pl.DataFrame) -> pl.DataFrame:
    # A read names its purpose; whether a row is there is no use of it, so any will do.
    purposes = PURPOSES if table in EVENT_TABLES else (None,)
    keys = list(KEYS[table])
    for purpose in purposes:
        if not rows.height:
            break
        asked = rows.select(keys).lazy()
        stored = lake.scan(table, purpose=purpose).select(keys)
        known = stored.join(asked, on=keys, how="semi", nulls_equal=True).collect()
        rows = rows.join(known, on=keys, how="anti", nulls_equal=True, maintain_order="left")
    return rows
