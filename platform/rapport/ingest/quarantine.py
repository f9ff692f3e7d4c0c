"""Rows that were refused: where they stood, which field, why, and what is left of them."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rapport.errors import RowError
from rapport.governance.guard import Guard
from rapport.governance.redaction import redact
from rapport.schema import CRISIS_TEXT, to_table

ROW_CHARACTERS = 500
"""What is kept of a refused row."""
_READ_CHARACTERS = 8 * ROW_CHARACTERS
"""What is looked at of it: an address cut in two would not be recognised."""


@dataclass(frozen=True)
class Reject:
    """One refused row."""

    table: str
    """What it would have been a row of."""
    position: str
    """File name, and the line, dialogue or row in it, counted from 1."""
    reason: str
    field: str | None = None
    row: str | None = None
    """The beginning of it, as it came; `quarantine_rows` redacts and cuts it."""

    @classmethod
    def of(cls, error: RowError, *, table: str, position: str, row: str) -> "Reject":
        """Refuse a row for a fault in it; an error without a field is about the whole row."""
        return cls(table, position, error.reason, error.field or None, row[:_READ_CHARACTERS])


def quarantine_rows(rejects: Sequence[Reject], *, tenant: str, source: str) -> pa.Table:
    """Build rows of the table `quarantine`; no identifying string and no crisis text in them."""
    now = dt.datetime.now(dt.UTC)
    guard = Guard()
    rows = [
        {
            "tenant": tenant,
            "ts": now,
            "source": source,
            "position": reject.position,
            "reason": reject.reason,
            "field": reject.field,
            "row": _safe(reject.row, guard),
        }
        for reject in rejects
    ]
    return to_table("quarantine", rows)


def dumped(row: Mapping[str, Any]) -> str:
    """A parsed row as JSON text, for `Reject.row`."""
    return json.dumps(row, default=str, ensure_ascii=False)


def _safe(row: str | None, guard: Guard) -> str | None:
    if row is None:
        return None
    # A lone surrogate cannot be stored.
    text = row[:_READ_CHARACTERS].encode(errors="replace").decode()
    return redact(text)[:ROW_CHARACTERS] if guard.check_input(text).safe else CRISIS_TEXT
