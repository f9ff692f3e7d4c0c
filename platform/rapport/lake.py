"""The lake: one Delta table for each table of schema version 1, under a folder or a URI."""

import fcntl
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from rapport.config import JobConfig
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.lake_pins import Pins
from rapport.lake_rows import AFFECT_COLUMNS, REFUSED_PURPOSES, check_purpose, fitted
from rapport.lake_views import Connection, Files, ask, open_views, to_json_rows
from rapport.schema import EVENT_TABLES, SCHEMAS, schema_of

__all__ = ["AFFECT_COLUMNS", "REFUSED_PURPOSES", "Lake", "check_purpose", "lake_of", "to_json_rows"]

# Delta keeps the least and largest value of a column in its log, where neither delete nor vacuum
# reaches; and the automatic checkpoint would remove every old version a release may name.
_PROPERTIES = {
    "delta.dataSkippingStatsColumns": "ts",
    "delta.logRetentionDuration": "interval 0 days",
    "delta.enableExpiredLogCleanup": "false",
}
_COMMIT_RETRIES = 50


class Lake:
    """Append-only tables that any number of processes share.

    Appends run side by side (Delta's optimistic commits, at most 50 retries). `erase` waits for
    running appends and holds new ones back for its duration, on local folders only; a reader
    caught by it fails with a missing file and asks again. Object-store credentials come from
    the environment (`AWS_...`, `AZURE_...`, `GOOGLE_...`). Thread-safe; holds no state.
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
        if version is None:
            if data.num_rows:
                with self._writing(table) as delta:
                    write_deltalake(delta, data, mode="append", commit_properties=_commit())
            return True
        with self._writing(table) as delta:
            # Delta accepts the same transaction twice, so look first.
            reached = _reached(delta, writer)
            if reached >= version or after not in (None, reached):
                return False
            try:
                properties = _commit(Transaction(writer, version))
                write_deltalake(delta, data, mode="append", commit_properties=properties)
            except CommitFailedError:
                delta.update_incremental()
                if _reached(delta, writer) > reached:
                    return False  # another process wrote under this name just now
                raise
        return True

    def replace(
        self,
        table: str,
        rows: pa.Table | Sequence[Mapping[str, Any]],
        *,
        where: str | None = None,
    ) -> None:
        """Replace a derived table, or those of its rows that match `where`, in one commit.

        Args:
            table: A table without purposes.
            rows: The new rows; each must itself match `where`.
            where: SQL predicate over the table's columns, none for the whole table.

        Raises:
            ConfigError: The table holds events; those are only ever appended.
        """
        if table in EVENT_TABLES:
            raise ConfigError("table", table, "events are appended, never replaced")
        data = fitted(table, rows)
        with self._writing(table) as delta:
            write_deltalake(
                delta, data, mode="overwrite", predicate=where, commit_properties=_commit()
            )

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

    def version(self, table: str) -> int:
        """Newest Delta version of a table, -1 when it was never written."""
        schema_of(table)
        delta = self._opened(table)
        return -1 if delta is None else int(delta.version())

    def written(self, table: str, *, writer: str) -> int:
        """Latest version a writer has committed to a table, -1 before its first."""
        schema_of(table)
        delta = self._opened(table)
        return -1 if delta is None else _reached(delta, writer)

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
        files = {name: self._files(name) for name in SCHEMAS}
        check_purpose(EVENT_TABLES[0], purpose)
        return open_views(files, affect=AFFECT_COLUMNS, purpose=purpose, secret=home_secret)

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
        connection = self.connect(home_secret=secret, purpose=purpose)
        try:
            return ask(connection, query, params=params)
        finally:
            connection.close()

    def erase(
        self, user_keys: Collection[str], tables: Collection[str] | None = None
    ) -> dict[str, int]:
        """Remove users so that no byte of theirs stays in any file of the lake.

        Old versions of these tables are gone afterwards. Safe to repeat after a crash.

        Args:
            user_keys: Keyed hashes.
            tables: Which tables, none for every one with users.

        Returns:
            Rows deleted from each table.
        """
        names = [n for n in tables or SCHEMAS if "user_id" in schema_of(n).names]
        keys = ", ".join(_quoted(key) for key in sorted(user_keys))
        counts = {}
        for name in names if user_keys else ():
            with self._held(name, alone=True):
                delta = self._opened(name)
                if delta is not None:
                    counts[name] = _erased(delta, f"user_id IN ({keys})", schema_of(name))
        return counts

    def compact(self, table: str) -> dict[str, int]:
        """Merge a table's small files into few; contents and old versions stay.

        Returns:
            `before` and `after`: data files of the newest version.
        """
        schema_of(table)
        with self._held(table):
            delta = self._opened(table)
            if delta is None:
                return {"before": 0, "after": 0}
            before = len(delta.file_uris())
            delta.optimize.compact()
            return {"before": before, "after": len(delta.file_uris())}

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
        uri = self._uri(table)
        if not DeltaTable.is_deltatable(uri):
            with self._held(table, alone=True):
                schema = schema_of(table)
                DeltaTable.create(uri, schema, mode="ignore", configuration=_PROPERTIES)
        with self._held(table):
            yield DeltaTable(uri)

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


def _commit(*transactions: Transaction) -> CommitProperties:
    return CommitProperties(app_transactions=list(transactions), max_commit_retries=_COMMIT_RETRIES)


def _reached(delta: DeltaTable, writer: str) -> int:
    version = delta.transaction_version(writer)
    return -1 if version is None else int(version)


def _erased(delta: DeltaTable, predicate: str, schema: pa.Schema) -> int:
    deleted = delta.delete(predicate)["num_deleted_rows"]
    _forget_log(delta)
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    # The newest log entry always survives the clean-up, and it names the users: outlive it.
    write_deltalake(delta, schema.empty_table(), mode="append")
    _forget_log(delta)
    return int(deleted or 0)


def _forget_log(delta: DeltaTable) -> None:
    delta.update_incremental()
    delta.create_checkpoint()
    delta.cleanup_metadata()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def lake_of(config: JobConfig) -> Lake:
    """Open the lake a job's configuration names, by default the home's."""
    stated = config.lake
    pins = Pins(stated.base, stated.versions) if stated.base else None
    return Lake(stated.uri or Home(config.home).lake, pins=pins)
