"""Statements that write changes and their outbox entries inside an open transaction."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from rapport.store import tables
from rapport.store.minds import put_minds
from rapport.store.records import ID_COLUMNS, Change, Episode, Opened, Record


def write(connection: Connection, changes: Sequence[Change]) -> list[tuple[bool, ...]]:
    """Write several callers' changes.

    Returns:
        For each change, which of its `rows` are new; a row whose id was there is left alone.
    """
    _open(connection, [opened for change in changes for opened in change.opened])
    # After the opening: a caller who gave up waiting may close what opens in the same group.
    _close(connection, [record for change in changes for record in change.closed])
    flags = iter(insert_new(connection, [record for change in changes for record in change.rows]))
    put_episodes(connection, [episode for change in changes for episode in change.episodes])
    put_minds(connection, [mind for change in changes for mind in change.minds])
    return [tuple(next(flags) for _ in change.rows) for change in changes]


def insert_new(connection: Connection, batch: Sequence[Record]) -> list[bool]:
    """Write rows whose id is new, with their outbox entries; profiles replace older ones.

    Returns:
        For each row, whether it was new.
    """
    seen = _existing(connection, batch)
    fresh, new = [], []
    for record in batch:
        key = (record.table, record.tenant, record.row_id)
        fresh.append(key not in seen)
        if fresh[-1]:
            seen.add(key)
            new.append(record)
    by_table = sorted(new, key=lambda record: record.table)
    for name, group in groupby(by_table, key=lambda record: record.table):
        rows = [dict(record.columns) for record in group]
        if name == "users":
            _put(connection, tables.users, ("tenant", "user_id"), rows)
        else:
            connection.execute(insert(tables.metadata.tables[name]), rows)
    send(connection, new)
    return fresh


def send(connection: Connection, batch: Sequence[Record]) -> None:
    """Put rows into the outbox, in their order."""
    entries = [
        {
            "table_name": record.table,
            "tenant": record.tenant,
            "row_id": record.row_id,
            "payload": record.payload,
        }
        for record in batch
    ]
    if entries:
        connection.execute(insert(tables.outbox), entries)


def put_episodes(connection: Connection, episodes: Sequence[Episode]) -> None:
    """Note where conversations stand."""
    if episodes:
        key = ("tenant", "user_id", "prefix_hash")
        _put(connection, tables.episodes, key, [vars(episode) for episode in episodes])


def _open(connection: Connection, batch: Sequence[Opened]) -> None:
    """Open decisions; one whose id was there is left alone, as the second of two in one batch."""
    there = _existing(connection, [record for record, _ in batch])
    new = {
        opened.record.row_id: opened
        for opened in reversed(batch)
        if (opened.record.table, opened.record.tenant, opened.record.row_id) not in there
    }
    batch = list(new.values())
    if batch:
        rows = [dict(record.columns) for record, _ in batch]
        connection.execute(insert(tables.decisions), rows)
        opened = [
            {
                "decision_id": record.row_id,
                "opened": record.columns["ts"],
                "until": tables.microseconds(until) if until else 0,
            }
            for record, until in batch
        ]
        connection.execute(insert(tables.unfinished), opened)


def _close(connection: Connection, batch: Sequence[Record]) -> None:
    if not batch:
        return
    column = tables.unfinished.c.decision_id
    named = column.in_([record.row_id for record in batch])
    opened = set(connection.scalars(select(column).where(named)))
    last = {record.row_id: record for record in batch if record.row_id in opened}
    if last:
        connection.execute(delete(tables.unfinished).where(column.in_(last)))
        mine = tables.decisions.c.decision_id == bindparam("_decision_id")
        ended = [dict(record.columns) | {"_decision_id": name} for name, record in last.items()]
        connection.execute(update(tables.decisions).where(mine), ended)
        send(connection, list(last.values()))


def _existing(connection: Connection, batch: Sequence[Record]) -> set[tuple[str, str, str]]:
    found = set()
    by_table = sorted(batch, key=lambda record: record.table)
    for name, group in groupby(by_table, key=lambda record: record.table):
        if name == "users":
            continue
        columns = tables.metadata.tables[name].c
        row_id = columns[ID_COLUMNS[name]]
        wanted = [record.row_id for record in group]
        query = select(columns.tenant, row_id).where(row_id.in_(wanted))
        found |= {(name, tenant, known) for tenant, known in connection.execute(query)}
    return found


def _put(
    connection: Connection, table: Table, key: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, replacing those with the same key; of equal keys the last one counts."""
    last = {tuple(row[name] for name in key): row for row in rows}
    for values in last:
        same = [table.c[name] == value for name, value in zip(key, values, strict=True)]
        connection.execute(delete(table).where(*same))
    connection.execute(insert(table), [dict(row) for row in last.values()])
