"""Whole users in parts small enough to hold: rows are dealt out once, then read part by part."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from rapport.bounds import HELD_TURNS
from rapport.scratch import scratch_folder

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to parts and gives the results in their order: `map` in this process,
`rapport.cluster.data.map_parts` on a Ray session."""

_HASH_SEED = 7


class Parts:
    """Rows of several tables, dealt by user into parts; one user's rows lie in one part.

    One pass over a table writes all parts, to Arrow files in a private temporary folder, so that
    N rows cost O(N) to read part by part. Parts are a random sample of the users, and the same
    for the same number of parts. Holds no text.
    """

    def __init__(self, rows: int, *, held: int = HELD_TURNS, scratch: Path | None = None) -> None:
        """Make room for about `rows` rows of the largest table, `held` of them a part.

        Args:
            rows: How many there are.
            held: How many to hold at once; a user with more is held whole.
            scratch: Where the temporary folder is made, none for the system's place.
        """
        self.count = max(1, -(-rows // held))
        self._closing = ExitStack()
        parent = scratch or Path(tempfile.gettempdir())
        self._folder = self._closing.enter_context(scratch_folder(parent, ".parts."))

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def write(self, name: str, batches: Iterable[pl.DataFrame]) -> None:
        """Deal a table's batches, one at least, each with a column `user_id`."""
        code = pl.col("user_id").hash(_HASH_SEED) % self.count
        for place, batch in enumerate(batches):
            shares = batch.with_columns(part=code).partition_by("part", as_dict=True)
            for part in range(self.count):
                rows = shares.get((part,))
                if rows is not None:
                    self._append(name, part, rows.drop("part"))
                elif place == 0:
                    self._append(name, part, batch.clear())

    def read(self, name: str, part: int) -> pl.DataFrame:
        """Rows of one part, in the order in which they came."""
        tables = []
        with pa.memory_map(self._file(name, part)) as source:
            while source.tell() < source.size():
                tables.append(pa.ipc.open_stream(source).read_all())
        return pl.DataFrame(pa.concat_tables(tables)).rechunk()

    def _append(self, name: str, part: int, rows: pl.DataFrame) -> None:
        # One stream after another in a file: parts may be more than files that may be open.
        table = rows.to_arrow()
        with (
            Path(self._file(name, part)).open("ab") as file,
            pa.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)

    def items(self, *names: str) -> Iterator[tuple[pl.DataFrame, ...]]:
        """The parts one after another, each as its rows of the named tables."""
        for part in range(self.count):
            yield tuple(self.read(name, part) for name in names)

    def _file(self, name: str, part: int) -> str:
        return str(self._folder / f"{name}-{part}.arrow")
