"""Rows of CSV and Parquet files as records, in bounded memory, each with where it stands."""

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from rapport.errors import ConfigError, RowError
from rapport.ingest.lines import DAMAGED, MAX_BYTES, Line, lines
from rapport.ingest.mapping import FieldMap
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import Source, seekable

_NOT_CSV = "is not comma-separated values"
_OTHER_WIDTH = "has another number of cells than the header"
_MOST_LINES = 500
"""Lines a quoted cell may go over; a quote left open must not swallow the rest of the file."""
_DELIMITERS = ",;\t|"
_ROWS = 5_000

csv.field_size_limit(MAX_BYTES)


class Row(NamedTuple):
    """A row of a table, or what is wrong with it."""

    position: str
    """`line 3` or `row 3`, counted from 1."""
    values: dict[str, Any]
    """By the names of the file."""
    shown: str
    """As it stood in the file, as text."""
    problem: str | None = None

    def record(self, mapping: FieldMap) -> dict[str, Any]:
        """The row under our names.

        Raises:
            RowError: It is none.
        """
        if self.problem:
            raise RowError("", self.problem)
        return mapping.applied(self.values)

    def kept(self, mapping: FieldMap) -> str:
        """What a refused row leaves: not whose it was."""
        return self.shown if self.problem else dumped(mapping.shown(self.values))


class Columns(NamedTuple):
    """What a format wants of a file's columns."""

    fields: Sequence[str]
    """Known ones; one that ends in `.` or `_` stands for all that begin with it."""
    required: Sequence[Sequence[str]]
    """Of each group one must be there."""

    def checked(self, names: Sequence[str], mapping: FieldMap, source: Source) -> list[str]:
        """Columns of a file that are read.

        Raises:
            ConfigError: A mapped column or a required one is not there.
        """
        there = f"{source.name} has no such column; it has: {', '.join(names) or 'none'}"
        for ours, theirs in mapping.absent(names):
            raise ConfigError(f"--mapping {ours}", theirs, there)
        got = {*names, *mapping.names, *mapping.constants}
        for group in self.required:
            if not got & set(group):
                remedy = f"{there}; map yours with --mapping FILE and a line `{group[0]}: yours`"
                raise ConfigError("column", " or ".join(group), remedy)
        wanted = {one for theirs in mapping.names.values() for one in (theirs, _head(theirs))}
        return [name for name in names if name in wanted or self._known(name)]

    def _known(self, name: str) -> bool:
        return name in self.fields or name.startswith(
            tuple(one for one in self.fields if one.endswith((".", "_")))
        )


def csv_rows(source: Source, columns: Columns, mapping: FieldMap) -> Iterator[Row]:
    """Rows of a CSV file with a header; commas, semicolons, tabs or bars, by the header.

    A quoted cell may hold line ends. A line that is no row is refused alone.

    Raises:
        ConfigError: It cannot be read, or a column is missing.
    """
    reader = _Lines(lines(source, blanks=True))
    first = reader.next()
    while first is not None and not first.problem and not first.text.strip():
        first = reader.next()
    if first is None or first.problem:
        yield Row("line 1", {}, first.text if first else "", first.problem if first else DAMAGED)
        return
    delimiter = max(_DELIMITERS, key=first.text.count)
    header = [name.strip() for name in _cells(first.text, delimiter) or ()]
    kept = columns.checked(header, mapping, source)
    while (line := reader.next()) is not None:
        if line.problem or not line.text.strip():
            if line.problem:
                yield Row(f"line {line.number}", {}, line.text, line.problem)
            continue
        cells, text, problem = _row(line, reader, delimiter=delimiter, width=len(header))
        named = dict(zip(header, cells, strict=False))
        values = {name: named.get(name) for name in kept}
        yield Row(f"line {line.number}", values, text, problem)


def parquet_rows(source: Source, columns: Columns, mapping: FieldMap) -> Iterator[Row]:
    """Rows of a Parquet file, some thousands at a time, only the columns that are known.

    Raises:
        ConfigError: It is no Parquet file, or a column is missing.
    """
    number = 0
    with seekable(source) as plain:
        try:
            file = pq.ParquetFile(plain)
        except (pa.ArrowException, OSError) as error:
            remedy = f"it is no readable parquet file ({type(error).__name__})"
            raise ConfigError("path", source.path, remedy) from error
        kept = columns.checked(file.schema_arrow.names, mapping, source)
        try:
            for batch in file.iter_batches(batch_size=_ROWS, columns=kept):
                for values in _values(batch):
                    number += 1
                    yield Row(f"row {number}", values, dumped(values))
        except (pa.ArrowException, OSError):
            yield Row(f"row {number + 1}", {}, "", DAMAGED)


class _Lines:
    """Lines that can be put back."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._source, self._back = source, deque[Line]()

    def next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._source, None)

    def back(self, some: Sequence[Line]) -> None:
        self._back.extendleft(reversed(some))


def _row(
    first: Line, reader: _Lines, *, delimiter: str, width: int
) -> tuple[list[str], str, str | None]:
    """Cells of the row that begins with a line, its text, and what is wrong with it."""
    text, more = first.text, list[Line]()
    while text.count('"') % 2 and len(more) < _MOST_LINES and len(text) < MAX_BYTES:
        line = reader.next()
        if line is None:
            break
        more.append(line)
        if line.problem:
            break
        text += "\n" + line.text
    cells = _cells(text, delimiter)
    if cells is not None and len(cells) == width:
        return cells, text, None
    reader.back(more)  # a broken row ends with its line
    return [], first.text, _NOT_CSV if cells is None else _OTHER_WIDTH


def _cells(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


def _values(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    columns = [_column(column) for column in batch.columns]
    for cells in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, cells, strict=True))


def _column(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]
    return found


def _value(scalar: pa.Scalar) -> Any:  # noqa: ANN401  (a cell of any type)
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return "\udcff"  # no text: whoever reads the field refuses it as not UTF-8


def _head(path: str) -> str:
    return path.partition(".")[0]
