"""A SQLAlchemy engine that means what it commits, and the errors it may give."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rapport.errors import ConfigError, StoreDownError
from rapport.store.tables import meta

_POSTGRESQL = {
    "pool_pre_ping": True,  # a restarted server costs nobody a request
    "pool_timeout": 10,
    "connect_args": {
        "connect_timeout": 5,
        "application_name": "rapport",
        "options": "-c lock_timeout=5s -c statement_timeout=30s -c synchronous_commit=on",
    },
}
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit is on disk when it returns
    "PRAGMA busy_timeout = 5000",  # ms to wait for another process's write
)

# Without turns PostgreSQL gives outbox numbers in one order and commits in another, and the relay
# could pass over a row that commits late. SQLite has one writer anyway: there it is but a read.
_TURN = select(meta.c.value).where(meta.c.name == "turn").with_for_update()

_SETTLING = (
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL statement_timeout = 0",
    "SELECT pg_advisory_xact_lock(7237123)",  # any number, the same in every process
)


class Database:
    """Short transactions on one SQLite file or PostgreSQL database. Thread-safe.

    Nobody waits for ever: a lock of SQLite's 5 s, one of PostgreSQL's 5 s, a statement 30 s.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(rapport_writes=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read from one consistent state.

        Raises:
            StoreDownError: The database does not answer.
        """
        with _answering(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write in one transaction, durable when this returns, all undone when it raises.

        Writers take turns, those of other processes too.

        Raises:
            StoreDownError: The database does not answer; nothing was written.
        """
        with self._changing() as connection:
            connection.execute(_TURN)
            yield connection

    @contextmanager
    def settling(self) -> Iterator[Connection]:
        """Change the tables themselves in one transaction; one process at a time, others wait.

        Raises:
            StoreDownError: The database does not answer, or another process takes long.
        """
        with self._changing() as connection:
            if not self.is_sqlite:
                for statement in _SETTLING:
                    connection.exec_driver_sql(statement)
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Run PostgreSQL's upkeep, which refuses to be part of a transaction.

        Raises:
            StoreDownError: The database does not answer, or somebody holds a lock.
        """
        apart = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with _answering(), apart.connect() as connection:
            yield connection

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def driver(self) -> Iterator[Any]:
        """Lend SQLite's own connection, outside any transaction, for upkeep.

        Raises:
            StoreDownError: The database does not answer, or somebody else is writing.
        """
        connection = self._engine.raw_connection()
        try:
            yield connection.driver_connection
        except sqlite3.Error as error:
            raise StoreDownError(f"the store does not answer: {error}") from None
        finally:
            connection.close()

    def close(self) -> None:
        """Close idle connections."""
        self._engine.dispose()

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with _answering(), self._writer.connect() as connection, connection.begin():
            yield connection


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise  # a fault of ours, not of the database
    except (DBAPIError, PoolTimeoutError) as error:
        # Other errors may quote values of the rows.
        told = str(error.orig) if isinstance(error, OperationalError) else type(error).__name__
        reason = told.strip().partition("\n")[0]
        raise StoreDownError(f"the store does not answer: {reason}") from None


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        settings = _POSTGRESQL if parsed.get_backend_name() == "postgresql" else {}
        engine = create_engine(parsed, hide_parameters=True, **settings)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        masked = url.partition("@")[2] or url
        remedy = (
            "write sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME with "
            f"rapport-platform[postgres] installed ({error})"
        )
        raise ConfigError("store", masked, remedy) from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    # The driver's own transactions start late and would let a read go stale before its write.
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("rapport_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
