"""No byte of deleted rows stays in the database's files.

PostgreSQL's write-ahead log, its archive and backups keep what was written until they are recycled:
those are its operator's.
"""

import re
from typing import Any

from rapport.errors import ConfigError, UnavailableError
from rapport.store import tables
from rapport.store.database import Database

_READ = "somebody reads the store for longer than 5 s; run it again"


def scrub(database: Database) -> None:
    """Rewrite the store's files without what was deleted; others wait meanwhile.

    Raises:
        ConfigError: The database's user does not own the tables.
        UnavailableError: Somebody is reading or writing; run it again.
    """
    if database.is_sqlite:
        _scrub_sqlite(database)
    else:
        _scrub_postgresql(database)


def _scrub_sqlite(database: Database) -> None:
    with database.driver() as connection:
        connection.execute("VACUUM")
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise UnavailableError(_READ)


def _scrub_postgresql(database: Database) -> None:
    told: list[tuple[str, str, str]] = []

    def hear(notice: Any) -> None:  # noqa: ANN401  (the driver's, valid only in here)
        told.append(
            (
                notice.severity_nonlocalized or "",
                notice.message_primary or "",
                notice.message_detail or "",
            )
        )

    # The planner's statistics hold common user ids: made anew, then freed of their old rows.
    names = [*tables.metadata.tables, "pg_catalog.pg_statistic"]
    with database.alone() as connection:
        driver: Any = connection.connection.driver_connection
        driver.add_notice_handler(hear)
        try:
            connection.exec_driver_sql("SET statement_timeout = 0")
            for name in names:
                analyze = "" if "." in name else ", ANALYZE"
                connection.exec_driver_sql(f"VACUUM (FULL, VERBOSE{analyze}) {name}")
        finally:
            driver.remove_notice_handler(hear)
            connection.invalidate()  # its settings are not the pool's
    for severity, message, detail in told:
        if severity == "WARNING":
            raise ConfigError("store", "its user", f"make it the tables' owner ({message})")
        if _kept_for_readers(detail):
            raise UnavailableError(_READ)


def _kept_for_readers(detail: str) -> bool:
    """Whether dead rows had to stay, for a transaction that began before they died."""
    kept = re.match(r"(\d+) dead row versions cannot be removed yet", detail)
    return kept is not None and int(kept[1]) > 0
