"""Which version a store's tables have, and how they come to this one's."""

from importlib.resources import as_file, files

from sqlalchemy import Connection, insert, inspect, select, update

from rapport.errors import ConfigError
from rapport.schema import new_id
from rapport.store import tables
from rapport.store.database import Database


def settle(database: Database) -> str:
    """Make the tables of a new store, upgrade an older one's; gives the store's id.

    Both happen in one transaction, whole or not at all, by one process at a time; others that
    open the store meanwhile wait for it.

    Raises:
        ConfigError: A later Rapport made the store.
        UnavailableError: The database does not answer, or another process upgrades it for long.
    """
    with database.reading() as connection:
        known = _known(connection)
    if known is None or int(known["version"]) < tables.STORE_VERSION:
        with database.settling() as connection:
            known = _known(connection) or _make(connection)
            if int(known["version"]) < tables.STORE_VERSION:
                _upgrade(connection, int(known["version"]))
                known["version"] = str(tables.STORE_VERSION)
    if int(known["version"]) > tables.STORE_VERSION:
        remedy = f"this Rapport knows version {tables.STORE_VERSION}; install a newer one"
        raise ConfigError("store version", known["version"], remedy)
    return known["store_id"]


def _known(connection: Connection) -> dict[str, str] | None:
    if not inspect(connection).has_table(tables.meta.name):
        return None
    rows = connection.execute(select(tables.meta.c.name, tables.meta.c.value))
    return {str(name): str(value) for name, value in rows} or None


def _make(connection: Connection) -> dict[str, str]:
    tables.metadata.create_all(connection)
    known = {"store_id": new_id(), "version": str(tables.STORE_VERSION), "turn": ""}
    made = [{"name": name, "value": value} for name, value in known.items()]
    connection.execute(insert(tables.meta), made)
    return known


def _upgrade(connection: Connection, version: int) -> None:
    # Costs a fifth of a second, which only an upgrade pays.
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    with as_file(files("rapport.store") / "migrations") as folder:
        script = ScriptDirectory(str(folder), version_locations=[str(folder)])
        options = {"fn": lambda at, _context: script._upgrade_revs("head", at)}
        context = MigrationContext.configure(connection, opts=options)
        # Our own number is the one that counts: Alembic's table follows it.
        context.stamp(script, "base" if version == 1 else str(version))
        with Operations.context(context):
            context.run_migrations()
    mine = tables.meta.c.name == "version"
    connection.execute(update(tables.meta).where(mine).values(value=str(tables.STORE_VERSION)))
