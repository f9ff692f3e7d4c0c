"""Keeping a Delta table small, and making it forget; the locks around it are `rapport.lake`'s."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.fs
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.fs import DeltaStorageHandler

from rapport.lake.appends import TRIES

T = TypeVar("T")

LATE_HOURS = 1
"""An append to an object store takes no longer from its first file to its commit."""
BLANKED_ROWS = 50_000
"""Rows that are rewritten at once when their texts go."""

_TEXT_COLUMNS = {
    "turns": "text",
    "feedback": "text",
    "decisions": "candidates",
    "quarantine": "row",
}
TEXT_TABLES = tuple(_TEXT_COLUMNS)
"""Tables whose rows hold what somebody wrote."""

# A writer killed on a local folder leaves these, and listings of object stores leave them out.
_STAGED = re.compile(r"#\d+$")
_LOG_FILE = re.compile(r"\d{20}\..+|_last_checkpoint|_sidecars")


@dataclass(frozen=True)
class Size:
    """What a table takes up, old versions and log included."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.files + other.files, self.bytes + other.bytes)


def size_of(uri: str) -> Size:
    """Files and bytes under a table's folder or URI."""
    sizes = [
        info.size
        for info in _filesystem(uri).get_file_info(pa.fs.FileSelector("", recursive=True))
        if info.type == pa.fs.FileType.File
    ]
    return Size(len(sizes), sum(sizes))


def is_readable(uri: str, version: int) -> bool:
    """Whether a version of a table can still be read: its log and every file of it are there."""
    try:
        files = DeltaTable(uri, version=version).file_uris()
    except DeltaError:
        return False
    return {path.rpartition("/")[2] for path in files} <= _names(uri)


def vacuum(delta: DeltaTable, *, keep: Collection[int], remote: bool, grace_hours: int) -> int:
    """Remove data files that neither the newest version nor a kept one names.

    Args:
        delta: The table, with no writer beside it where it lies in a folder.
        keep: Versions that stay readable; each can be read now.
        remote: Whether it lies in an object store, whose writers nothing holds back: there a file
            that no version names yet stays for `LATE_HOURS`, since its commit may be under way.
        grace_hours: How long the files of versions just left behind stay, for their readers.

    Returns:
        How many files were removed.
    """
    remove = partial(
        delta.vacuum,
        retention_hours=max(grace_hours, LATE_HOURS) if remote else grace_hours,
        enforce_retention_duration=False,
        full=True,
        keep_versions=sorted(keep) or None,
    )
    swept = 0 if remote else _sweep(_folder(delta))
    # It lists files that went long ago, and would write two commits about nothing.
    unnamed = {path.rpartition("/")[2] for path in remove(dry_run=True)} & _names(delta.table_uri)
    if unnamed:
        remove(dry_run=False)
    return swept + len(unnamed)


def forget(delta: DeltaTable, schema: pa.Schema, *, remote: bool) -> None:
    """Remove all that the newest version does not hold: old versions, their log, orphans.

    In an object store orphans younger than `LATE_HOURS` stay, as `vacuum` says.
    """
    _forget_log(delta)
    remove = partial(delta.vacuum, enforce_retention_duration=False, dry_run=False)
    if remote:
        remove(retention_hours=0, full=False)
    remove(retention_hours=LATE_HOURS if remote else 0, full=True)
    # The newest log entry always survives the clean-up, and it may name users: outlive it.
    write_deltalake(delta, schema.empty_table(), mode="append")
    _forget_log(delta)
    if not remote:
        _sweep(_folder(delta))


def repeatedly(delta: DeltaTable, act: Callable[[], T]) -> T:
    """Commit what reads before it writes, again where somebody else committed meanwhile.

    Raises:
        CommitFailedError: Others were faster `TRIES` times.
    """
    for _ in range(TRIES - 1):
        try:
            return act()
        except CommitFailedError:
            delta.update_incremental()
    return act()


def texts_before(rows: pl.LazyFrame, table: str, *, tenant: str, before: datetime) -> pl.LazyFrame:
    """Rows of a tenant from before a moment that still hold text."""
    column = pl.col(_TEXT_COLUMNS[table])
    texts = column.is_not_null()
    if table == "decisions":
        texts = column.list.eval(pl.element().struct.field("text").is_not_null()).list.any()
    return rows.filter(pl.col("tenant") == tenant, pl.col("ts") < before, texts)


def blank(delta: DeltaTable, table: str, *, tenant: str, before: datetime) -> int:
    """Replace texts from before a moment by null, some rows a commit; old versions keep them.

    Returns:
        Rows that held text.
    """
    windows = list(_windows(delta, table, tenant=tenant, before=before))
    return sum(
        repeatedly(delta, partial(_blank_window, delta, table, tenant=tenant, start=start, end=end))
        for start, end in windows
    )


def quoted(text: str) -> str:
    """A text as a literal of a predicate."""
    return "'" + text.replace("'", "''") + "'"


def _blank_window(
    delta: DeltaTable, table: str, *, tenant: str, start: datetime, end: datetime
) -> int:
    time = pl.col("ts")
    mine = pl.scan_delta(delta).filter(pl.col("tenant") == tenant, time >= start, time < end)
    rows = mine.collect()
    write_deltalake(
        delta,
        _blanked(rows, table).to_arrow().cast(pa.schema(delta.schema().to_arrow())),
        mode="overwrite",
        predicate=f"ts >= {_moment(start)} AND ts < {_moment(end)} AND tenant = {quoted(tenant)}",
    )
    delta.update_incremental()
    return texts_before(rows.lazy(), table, tenant=tenant, before=end).collect().height


def _windows(
    delta: DeltaTable, table: str, *, tenant: str, before: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Spans of time, [start, end), of about `BLANKED_ROWS` rows, that hold every old text."""
    rows = pl.scan_delta(delta)
    held = texts_before(rows, table, tenant=tenant, before=before).select(pl.col("ts").min())
    start = held.collect().item()
    if start is None:
        return
    mine = rows.filter(pl.col("tenant") == tenant, pl.col("ts") >= start, pl.col("ts") < before)
    times = mine.select("ts").collect()["ts"].sort()
    cuts = times.gather_every(BLANKED_ROWS).unique(maintain_order=True).to_list()
    yield from zip(cuts, [*cuts[1:], before], strict=True)


def _blanked(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    column = pl.col(_TEXT_COLUMNS[table])
    if table != "decisions":
        return rows.with_columns(pl.lit(None, pl.String).alias(_TEXT_COLUMNS[table]))
    nothing = pl.lit(None, pl.String).alias("text")
    return rows.with_columns(column.list.eval(pl.element().struct.with_fields(nothing)))


def _moment(ts: datetime) -> str:
    return f"arrow_cast('{ts.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _forget_log(delta: DeltaTable) -> None:
    delta.update_incremental()
    delta.create_checkpoint()
    delta.cleanup_metadata()


def _sweep(folder: Path) -> int:
    """Remove what killed writers left half-written; nobody may be writing."""
    left = [path for path in folder.rglob("*") if path.is_file() and _STAGED.search(path.name)]
    log = (folder / "_delta_log").iterdir()
    left += [path for path in log if not _LOG_FILE.fullmatch(path.name) and path not in left]
    for path in left:
        path.unlink()
    return len(left)


def _folder(delta: DeltaTable) -> Path:
    return Path(delta.table_uri.removeprefix("file://"))


def _names(uri: str) -> set[str]:
    """Names of a table's data files."""
    found = _filesystem(uri).get_file_info(pa.fs.FileSelector("", recursive=False))
    return {info.base_name for info in found}


def _filesystem(uri: str) -> pa.fs.PyFileSystem:
    return pa.fs.PyFileSystem(DeltaStorageHandler(uri))
