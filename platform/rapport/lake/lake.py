"""The lake: one Delta table for each table of schema version 1, under a folder or a URI."""

import fcntl
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from rapport.config import JobConfig
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.lake.appends import (
    TRIES,
    Stamp,
    append_once,
    append_plainly,
    append_surely,
    created_once,
    disk_faults,
    reached,
)
from rapport.lake.care import (
    Size,
    blank,
    forget,
    is_readable,
    quoted,
    repeatedly,
    size_of,
    texts_before,
    vacuum,
)
from rapport.lake.pins import Pins
from rapport.lake.rows import AFFECT_COLUMNS, check_purpose, fitted
from rapport.lake.streams import written_as_made
from rapport.lake.views import Connection, Files, ask, open_views, tables_of
from rapport.schema import EVENT_TABLES, SCHEMAS, schema_of

# Delta keeps the least and largest value of a column in its log, where neither delete nor vacuum
# reaches; and the automatic checkpoint would remove every old version a release may name.
_PROPERTIES = {
    "delta.dataSkippingStatsColumns": "ts",
    "delta.logRetentionDuration": "interval 0 days",
    "delta.enableExpiredLogCleanup": "false",
}
_SAME_ROWS = ("OPTIMIZE", "VACUUM START", "VACUUM END")
BATCH_ROWS = 50_000
"""Rows of a batch where a table is read bit by bit."""


class Lake:
    """Append-only tables that any number of processes share.

    Appends run side by side (Delta's optimistic commits, at most 50 retries). What removes files
    (`erase`, `blank_texts`, `vacuum`) waits for running appends and holds new ones back; a reader
    caught by it fails with a missing file and asks again. Thread-safe; holds no state.

    In an object store nobody holds anybody back. Commits are conditional puts there (it must
    support `If-None-Match`), so none counts twice; an append with a version looks whether it is
    there afterwards, since a table that forgets its log meanwhile could lose it; and a file that
    no commit names is left alone for an hour, since its commit may be under way. A bucket that
    keeps versions keeps what was erased: let it expire them, and unfinished uploads. Credentials
    come from the environment (`AWS_...`, `AZURE_...`, `GOOGLE_...`).
    """

    def __init__(self, root: str | Path, *, pins: Pins | None = None) -> None:
        self._remote = "://" in str(root)
        self.root = str(root).rstrip("/") if self._remote else str(Path(root).absolute())
        self._pins = pins or Pins()

    def append(
        self,
        table: str,
        rows: pa.Table | Sequence[Mapping[str, Any]],
        *,
        writer: str,
        version: int | None = None,
        after: int | None = None,
    ) -> bool:
        """Append rows; with a version exactly once for each (writer, version).

        Args:
            table: A table of the schema.
            rows: Row dictionaries, or an Arrow table whose columns fit the schema.
            writer: Who writes; each has versions of its own.
            version: Rises with every batch of this writer; none for a plain append.
            after: Append only where this is the writer's latest version, -1 for none yet.

        Returns:
            False, and nothing is written, when this writer had already committed this version
            or a later one, or not just `after`.

        Raises:
            UnknownNameError: No such table.
            RowError: Rows that do not fit the schema; nothing was written.
        """
        data = fitted(table, rows)
        stamp = None if version is None else Stamp(writer, version, after)
        if stamp is not None and self._remote:
            self._create(table)
            return append_surely(lambda: DeltaTable(self._uri(table)), data, stamp)
        if stamp is None and not data.num_rows:
            return True
        with self._writing(table) as delta:
            if stamp is not None:
                return append_once(delta, data, stamp)
            append_plainly(delta, data)
        return True

    def replace(
        self,
        table: str,
        rows: pa.Table | Sequence[Mapping[str, Any]] | Iterator[pa.Table],
        *,
        where: str | None = None,
    ) -> None:
        """Replace a derived table, or those of its rows that match `where`, in one commit.

        Args:
            table: A table without purposes.
            rows: The new rows; each must itself match `where`. Tables from an iterator, which
                may read the table that is replaced, are written as they come.
            where: SQL predicate over the table's columns, none for the whole table.

        Raises:
            ConfigError: The table holds events; those are only ever appended.
        """
        if table in EVENT_TABLES:
            raise ConfigError("table", table, "events are appended, never replaced")
        with self._writing(table) as delta:
            write = partial(
                write_deltalake,
                delta,
                mode="overwrite",
                predicate=where,
                commit_properties=CommitProperties(max_commit_retries=TRIES),
            )
            if isinstance(rows, Iterator):
                parts = (fitted(table, part) for part in rows)
                written_as_made(parts, write, schema=schema_of(table))
            else:
                write(fitted(table, rows))

    def scan(
        self, table: str, *, purpose: str | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        """Read a table lazily; a table not yet written is empty with the right schema.

        Args:
            table: A table of the schema.
            purpose: What event rows are read for: only rows that allow it come back. Tables
                without purposes take none.
            version: Delta version to read, none for the newest.

        Raises:
            ConfigError: Purpose missing, unknown, or one that is always refused.
        """
        schema = schema_of(table)
        check_purpose(table, purpose)
        delta = self._opened(table, version=version)
        if delta is None:
            return pl.DataFrame(schema.empty_table()).lazy()
        frame = pl.scan_delta(delta)
        if purpose is None:
            return frame
        kept = frame.filter(pl.col("purposes").list.contains(purpose))
        affect = pl.col(AFFECT_COLUMNS.get(table, ()))
        inferable = pl.col("purposes").list.contains("infer_affect")
        return kept.with_columns(pl.when(inferable).then(affect))

    def batches(self, rows: pl.LazyFrame, *, size: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
        """Collect what `scan` gave, about `size` rows at a time; memory is theirs.

        At least one batch comes, with the columns, also where there are no rows.
        """
        empty = True
        for batch in rows.collect_batches(chunk_size=size, engine="streaming"):
            empty = False
            yield batch
        if empty:
            yield pl.DataFrame(schema=rows.collect_schema())

    def keys(
        self, table: str, columns: Sequence[str], *, beyond: Collection[str] = ()
    ) -> tuple[Iterator[pl.DataFrame], frozenset[str]]:
        """Read the columns by which rows are known again, of all rows, whatever their purposes.

        To know that a row is there makes no use of it; nothing else may be read this way.

        Args:
            table: A table of the schema.
            columns: Its identifying columns.
            beyond: Data files already read; rows in them are left out.

        Returns:
            Batches in no order, and the data files of the newest version. After `compact` the
            files are others, hence all rows come again.
        """
        schema_of(table)
        delta = self._opened(table)
        files = frozenset(delta.file_uris()) if delta else frozenset()
        fresh = sorted(files - frozenset(beyond))
        if not fresh:
            return iter(()), files
        return self.batches(pl.scan_parquet(fresh).select(columns)), files

    def files(self, table: str, *, version: int) -> frozenset[str] | None:
        """Data files of a version, none of version -1; None where the version is gone."""
        schema_of(table)
        if version < 0:
            return frozenset()
        try:
            delta = self._opened(table, version=version)
        except DeltaError:
            return None
        return frozenset(delta.file_uris()) if delta else None

    def version(self, table: str) -> int:
        """Newest Delta version of a table, -1 when it was never written."""
        schema_of(table)
        delta = self._opened(table)
        return -1 if delta is None else int(delta.version())

    def content_version(self, table: str) -> int:
        """Newest version that changed a table's rows: compacting and vacuuming change none."""
        schema_of(table)
        delta = self._opened(table)
        if delta is None:
            return -1
        commits = delta.history()
        changing = (c for c in commits if c.get("operation") not in _SAME_ROWS)
        return int(next(changing, commits[-1])["version"])

    def rows(self, table: str) -> int:
        """Number of a table's rows, by its log alone; 0 when it was never written."""
        schema_of(table)
        delta = self._opened(table)
        return 0 if delta is None else int(delta.count())

    def written(self, table: str, *, writer: str) -> int:
        """Latest version a writer has committed to a table, -1 before its first."""
        schema_of(table)
        delta = self._opened(table)
        return -1 if delta is None else reached(delta, writer)

    def tables(self) -> tuple[str, ...]:
        """Names of the tables that exist here."""
        return tuple(name for name in SCHEMAS if self._opened(name) is not None)

    def connect(
        self, *, home_secret: bytes | None = None, purpose: str = "analytics"
    ) -> Connection:
        """Open DuckDB over the lake as it is now: every table and three views, nothing else.

        Files apart from the tables' own cannot be read or written through it, extensions
        cannot be loaded and settings are locked. Views: `reward`, the latest of each decision;
        `conversations`, one row each; `decision_outcomes`, decisions with their reward. With a
        secret, `user_key('alice')` gives the key of a user of tenant `default`, and
        `user_key(tenant, user)` of any.

        Args:
            home_secret: Key of the home's hashes.
            purpose: What event rows are read for, as in `scan`.
        """
        return self._connect(None, home_secret=home_secret, purpose=purpose)

    def sql(
        self,
        query: str,
        *,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        secret: bytes | None = None,
        purpose: str = "analytics",
    ) -> pa.Table:
        """Answer one read-only question over the tables and views of `connect`.

        Raises:
            ConfigError: Not one SELECT, a file in place of a table, or DuckDB refuses it.
        """
        connection = self._connect(query, home_secret=secret, purpose=purpose)
        try:
            return ask(connection, query, params=params)
        finally:
            connection.close()

    def erase(
        self, user_keys: Collection[str], tables: Collection[str] | None = None
    ) -> dict[str, int]:
        """Remove users so that no byte of theirs stays in any file of the lake.

        One pass a table, however many users. Old versions of these tables are gone afterwards.
        Safe to repeat after a crash. In an object store, what a killed writer left goes with the
        first clean-up an hour later.

        Args:
            user_keys: Keyed hashes.
            tables: Which tables, none for every one with users.

        Returns:
            Rows deleted from each table.
        """
        names = [n for n in tables or SCHEMAS if "user_id" in schema_of(n).names]
        keys = ", ".join(quoted(key) for key in sorted(user_keys))
        counts = {}
        for name in names if user_keys else ():
            deleted = self.delete(name, f"user_id IN ({keys})")
            if deleted is not None:
                counts[name] = deleted
        return counts

    def count_users(self, user_keys: Collection[str]) -> int:
        """How many rows of all tables are about some users; says nothing else of them."""
        count = 0
        for name in SCHEMAS:
            delta = self._opened(name) if "user_id" in schema_of(name).names else None
            if delta is not None:
                theirs = pl.scan_delta(delta).filter(pl.col("user_id").is_in(list(user_keys)))
                count += int(theirs.select(pl.len()).collect().item())
        return count

    def delete(self, table: str, predicate: str) -> int | None:
        """Remove the rows that a predicate names, for good: old versions go, and its own words.

        Returns:
            Rows deleted, none where the table was never written.
        """
        with self._held(table, alone=True):
            delta = self._opened(table)
            if delta is None:
                return None
            deleted = repeatedly(delta, lambda: delta.delete(predicate))["num_deleted_rows"]
            forget(delta, schema_of(table), remote=self._remote)
            return int(deleted or 0)

    def old_texts(self, table: str, *, tenant: str, before: datetime) -> int:
        """How many of a tenant's rows from before a moment hold text."""
        delta = self._opened(table)
        if delta is None:
            return 0
        found = texts_before(pl.scan_delta(delta), table, tenant=tenant, before=before)
        return int(found.select(pl.len()).collect().item())

    def blank_texts(self, table: str, *, tenant: str, before: datetime) -> int:
        """Replace a tenant's texts from before a moment by null, for good; the rows stay.

        Old versions of the table are gone afterwards. Safe to repeat after a crash.

        Returns:
            Rows that held text.
        """
        with self._held(table, alone=True):
            delta = self._opened(table)
            if delta is None:
                return 0
            blanked = blank(delta, table, tenant=tenant, before=before)
            forget(delta, schema_of(table), remote=self._remote)
            return blanked

    def forget(self, table: str) -> None:
        """Remove a table's old versions and their log for good, as `erase` does with its tables."""
        with self._held(table, alone=True):
            delta = self._opened(table)
            if delta is not None:
                forget(delta, schema_of(table), remote=self._remote)

    def compact(self, table: str, *, least: int = 2) -> dict[str, int]:
        """Merge a table's small files into few; contents and old versions stay.

        Args:
            table: A table of the schema.
            least: With fewer data files than this nothing is merged.

        Returns:
            `before` and `after`: data files of the newest version.
        """
        schema_of(table)
        with self._held(table):
            delta = self._opened(table)
            if delta is None:
                return {"before": 0, "after": 0}
            before = len(delta.file_uris())
            if before >= least:
                repeatedly(delta, delta.optimize.compact)
            return {"before": before, "after": len(delta.file_uris())}

    def vacuum(self, table: str, *, keep: Collection[int] = (), grace_hours: int = 0) -> int:
        """Remove every file that neither the newest version nor a kept one names.

        Args:
            table: A table of the schema.
            keep: Versions that stay readable; one that cannot be read any more is passed over.
            grace_hours: How long files of versions just left behind stay, for their readers.

        Returns:
            How many files were removed.
        """
        readable = [v for v in set(keep) if v >= 0 and self.is_readable(table, v)]
        with self._held(table, alone=True):
            delta = self._opened(table)
            if delta is None:
                return 0
            return vacuum(delta, keep=readable, remote=self._remote, grace_hours=grace_hours)

    def is_readable(self, table: str, version: int) -> bool:
        """Whether a version of a table is still there, whole; -1 is that of a missing table."""
        return version < 0 or (
            DeltaTable.is_deltatable(self._uri(table)) and is_readable(self._uri(table), version)
        )

    def size(self, table: str) -> Size:
        """Files and bytes of a table on disk, old versions and log included."""
        schema_of(table)
        return Size() if self._opened(table) is None else size_of(self._uri(table))

    def _connect(self, query: str | None, *, home_secret: bytes | None, purpose: str) -> Connection:
        check_purpose(EVENT_TABLES[0], purpose)
        # From an object store only what the question needs is fetched.
        needed = tables_of(query) if query is not None and self._remote else tuple(SCHEMAS)
        files = {
            name: self._files(name) if name in needed else schema_of(name).empty_table()
            for name in SCHEMAS
        }
        return open_views(files, affect=AFFECT_COLUMNS, purpose=purpose, secret=home_secret)

    def _uri(self, table: str) -> str:
        return f"{self.root}/{table}"

    def _opened(self, table: str, *, version: int | None = None) -> DeltaTable | None:
        if version is None and table in self._pins.versions:
            return self._pins.opened(table)
        uri = self._uri(table)
        return DeltaTable(uri, version=version) if DeltaTable.is_deltatable(uri) else None

    @contextmanager
    def _writing(self, table: str) -> Iterator[DeltaTable]:
        """Open a table for a commit beside other writers; create it where it is missing."""
        if table in self._pins.versions:
            raise ConfigError("lake.versions", table, "a pinned table is only read")
        with disk_faults(self._uri(table)):
            self._create(table)
            with self._held(table):
                yield DeltaTable(self._uri(table))

    def _create(self, table: str) -> None:
        uri = self._uri(table)
        if not DeltaTable.is_deltatable(uri):
            with self._held(table, alone=True):
                created_once(uri, schema_of(table), _PROPERTIES)

    def _files(self, table: str) -> Files:
        """Parquet files of a table for DuckDB, or its rows where DuckDB cannot reach them."""
        delta = self._opened(table)
        uris = list(delta.file_uris()) if delta else []
        if delta is None or not uris:
            return schema_of(table).empty_table()
        if self._remote:
            return pl.scan_delta(delta).collect().to_arrow().cast(schema_of(table))
        return uris

    @contextmanager
    def _held(self, table: str, *, alone: bool = False) -> Iterator[None]:
        """Keep `erase` (alone) and writers apart: its vacuum takes files not yet committed."""
        if self._remote:
            yield
            return
        Path(self.root).mkdir(parents=True, exist_ok=True)
        with (Path(self.root) / f".{table}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield


def lake_of(config: JobConfig) -> Lake:
    """Open the lake a job's configuration names, by default the home's."""
    stated = config.lake
    pins = Pins(stated.base, stated.versions) if stated.base else None
    return Lake(stated.uri or Home(config.home).lake, pins=pins)
