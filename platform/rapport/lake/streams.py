"""Tables that are written while they are made."""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import pyarrow as pa

from rapport.errors import DataError

_WAITING = 2
"""Tables made before they are written."""
_LOOK_S = 0.2
_WHOLE, _BROKEN = "whole", "broken"
"""Come last: nothing is missing, or making a table failed."""
_Item: TypeAlias = pa.Table | str


def written_as_made(
    tables: Iterator[pa.Table], write: Callable[[pa.RecordBatchReader], None], *, schema: pa.Schema
) -> None:
    """Write tables as they are made, two of them waiting at most.

    The writer pulls from its own event loop, in which no other Delta table can be opened; so it
    gets a thread, and the tables are made in the caller's. Where making them fails, the writer
    fails too and commits nothing.

    Args:
        tables: Of the schema; may read whatever they like.
        write: Called once.
        schema: Of the tables.
    """
    made: queue.Queue[_Item] = queue.Queue(_WAITING)
    with ThreadPoolExecutor(1) as pool:
        reader = pa.RecordBatchReader.from_batches(schema, _taken(made))
        writing = pool.submit(write, reader)
        end: _Item = _BROKEN
        try:
            for table in tables:
                _put(made, table, writing)
            end = _WHOLE
        finally:
            _put(made, end, writing)
        writing.result()


def _put(made: queue.Queue[_Item], item: _Item, writing: Future[None]) -> None:
    # A writer that has failed takes nothing any more: its error comes from `writing.result`.
    while not writing.done():
        try:
            return made.put(item, timeout=_LOOK_S)
        except queue.Full:
            continue
    return None


def _taken(made: queue.Queue[_Item]) -> Iterator[pa.RecordBatch]:
    while (item := made.get()) is not _WHOLE:
        if not isinstance(item, pa.Table):
            raise DataError("rows of a table could not be made", "see the error that came first")
        yield from item.to_batches()
