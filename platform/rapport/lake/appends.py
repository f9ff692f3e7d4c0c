"""Creating a Delta table, and appending to it exactly once for each version of a writer."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from rapport.errors import UnavailableError

TRIES = 50
"""How often a commit is tried that others get in the way of."""
_PAUSE_S = 0.05
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class Stamp(NamedTuple):
    """By what an append is known again."""

    writer: str
    version: int
    after: int | None = None
    """The writer's latest version must be just this, -1 for none yet; none for any lower one."""


@contextmanager
def disk_faults(uri: str) -> Iterator[None]:
    """Raise what the disk refused as Python does; Delta's own errors hold it in their words."""
    try:
        yield
    except DeltaError as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), uri) from error


def created_once(uri: str, schema: pa.Schema, properties: Mapping[str, str]) -> None:
    """Create a table unless it is there; of several that do so at once, one does."""
    try:
        DeltaTable.create(uri, schema, mode="ignore", configuration=dict(properties))
    except CommitFailedError:  # another process was first, where nobody holds others back
        if not DeltaTable.is_deltatable(uri):
            raise


def append_plainly(delta: DeltaTable, data: pa.Table) -> None:
    """Append rows; asked for twice, they are there twice."""
    write_deltalake(delta, data, mode="append", commit_properties=_properties())


def append_once(delta: DeltaTable, data: pa.Table, stamp: Stamp) -> bool:
    """Append rows under a stamp.

    Returns:
        False, and nothing is written, where the stamp does not follow what the writer did last.
    """
    # Delta accepts the same transaction twice, so look first.
    at = reached(delta, stamp.writer)
    if at >= stamp.version or stamp.after not in (None, at):
        return False
    try:
        properties = _properties(Transaction(stamp.writer, stamp.version))
        write_deltalake(delta, data, mode="append", commit_properties=properties)
    except CommitFailedError:
        delta.update_incremental()
        if reached(delta, stamp.writer) > at:
            return False  # another process wrote under this name just now
        raise
    return True


def append_surely(opened: Callable[[], DeltaTable], data: pa.Table, stamp: Stamp) -> bool:
    """Append rows under a stamp where nobody holds others back, and see that they are there.

    While a table forgets its log, a commit may fail, or pass for an old one and be lost: both are
    tried again. After a failure nobody can say whose a commit of this version is, and the answer
    is False.

    Raises:
        UnavailableError: It failed `TRIES` times.
    """
    fault, committed = None, False
    for _ in range(TRIES):
        try:
            if committed and reached(opened(), stamp.writer) >= stamp.version:
                return True
            committed = append_once(opened(), data, stamp)
            if not committed:
                return False
            if reached(opened(), stamp.writer) >= stamp.version:
                return True
        except DeltaError as error:
            fault = error
        time.sleep(_PAUSE_S)
    reason = f"the lake takes no commit of {stamp.writer!r}, tried {TRIES} times"
    raise UnavailableError(reason) from fault


def reached(delta: DeltaTable, writer: str) -> int:
    """Latest version a writer has committed, -1 before its first."""
    version = delta.transaction_version(writer)
    return -1 if version is None else int(version)


def _properties(*transactions: Transaction) -> CommitProperties:
    return CommitProperties(app_transactions=list(transactions), max_commit_retries=TRIES)
