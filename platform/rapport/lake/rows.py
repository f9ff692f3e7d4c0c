"""What may enter the lake's tables, and for what purpose they may be read."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from rapport.errors import ConfigError, RowError
from rapport.schema import EVENT_TABLES, PURPOSES, schema_of, to_table

REFUSED_PURPOSES = ("marketing", "pricing", "ads")
"""Purposes no row can ever be read for: the lake holds sentiment, emotion and personas."""

AFFECT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "turns": ("emotion", "sentiment"),
    "decisions": ("persona_id", "persona_version", "persona_margin"),
    "feedback": ("sentiment",),
}
"""What was inferred about a user; null at read where the row does not allow `infer_affect`."""


def check_purpose(table: str, purpose: str | None) -> None:
    """Refuse a read whose purpose is not one that rows of this table can allow.

    Raises:
        ConfigError: Purpose missing, unknown, always refused, or given where none is taken.
    """
    if purpose in REFUSED_PURPOSES:
        raise ConfigError("purpose", purpose, "what was inferred about people never serves it")
    if table not in EVENT_TABLES:
        if purpose is not None:
            raise ConfigError("purpose", purpose, f"table {table!r} takes no purpose")
    elif purpose not in PURPOSES:
        raise ConfigError("purpose", purpose, f"name one of {', '.join(PURPOSES)}")


def fitted(table: str, rows: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the schema; nullable columns that are missing become null.

    Raises:
        UnknownNameError: No such table.
        RowError: A column too many, of another type, or missing where it is required.
    """
    if not isinstance(rows, pa.Table):
        return to_table(table, rows)
    schema = schema_of(table)
    unknown = set(rows.column_names) - set(schema.names)
    if unknown:
        raise RowError(f"{table}.{min(unknown)}", "not a column of the schema")
    columns = [_column(table, field, rows) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: str, field: pa.Field, rows: pa.Table) -> pa.ChunkedArray | pa.Array:
    if field.name not in rows.column_names:
        column = pa.nulls(rows.num_rows, field.type)
    else:
        try:
            column = rows.column(field.name).cast(field.type)
        except (pa.ArrowException, ValueError) as error:
            raise RowError(f"{table}.{field.name}", f"needs {field.type}") from error
    if column.null_count and not field.nullable:
        raise RowError(f"{table}.{field.name}", "is required and was missing")
    return column
