"""What the store forgets: users, and texts that are past their time."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, select, tuple_, update

from rapport.store import tables

_CHUNK = 400  # values of one statement; SQLite binds at most 32,766
_PAGE = 1000
_USER_TABLES = (
    tables.decisions,
    tables.feedback,
    tables.turns,
    tables.users,
    tables.episodes,
    tables.user_states,
    tables.minds,
)
_TEXT_TABLES = (tables.decisions, tables.feedback, tables.turns)


def erase_users(connection: Connection, user_keys: Collection[str]) -> dict[str, int]:
    """Delete every row of some users, those on their way to the lake too.

    Returns:
        Rows deleted from each table, those without any left out.
    """
    counts: Counter[str] = Counter()
    keys = sorted(user_keys)
    for chunk in (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK)):
        counts += _erase_chunk(connection, chunk)
    gone = [seq for seq, payload in _waiting(connection) if _is_of(payload, user_keys)]
    counts["outbox"] = _delete(connection, tables.outbox, "seq", gone)
    return {name: count for name, count in counts.items() if count}


def blank_texts(connection: Connection, *, tenant: str, before: int) -> int:
    """Replace a tenant's texts from before a moment (microseconds from 1970) by null.

    Returns:
        Rows that held text, one on its way to the lake counted once more.
    """
    blanked = sum(
        _blank_table(connection, table, tenant=tenant, before=before) for table in _TEXT_TABLES
    )
    moment = tables.moment(before).isoformat()
    for seq, payload in _waiting(connection):
        row = _loaded(payload)
        if row and row["tenant"] == tenant and row["ts"] < moment and _blank_row(row):
            mine = tables.outbox.c.seq == seq
            connection.execute(update(tables.outbox).where(mine).values(payload=_dumped(row)))
            blanked += 1
    return blanked


def _erase_chunk(connection: Connection, keys: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for table, column in ((tables.decisions, "episode_id"), (tables.turns, "conversation_id")):
        mine = select(table.c[column]).where(table.c.user_id.in_(keys)).distinct()
        spoken = connection.scalars(mine).all()
        # Conversations of people who gave no name belong to nobody there.
        counts["episodes"] += _delete(connection, tables.episodes, "episode_id", spoken)
    mine = select(tables.decisions.c.decision_id).where(tables.decisions.c.user_id.in_(keys))
    decided = connection.scalars(mine).all()
    counts["unfinished"] += _delete(connection, tables.unfinished, "decision_id", decided)
    for table in _USER_TABLES:
        counts[table.name] += _delete(connection, table, "user_id", keys)
    return counts


def _delete(connection: Connection, table: Table, column: str, values: Sequence[Any]) -> int:
    parts = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
    return sum(
        connection.execute(delete(table).where(table.c[column].in_(part))).rowcount
        for part in parts
    )


def _waiting(connection: Connection) -> Iterator[tuple[int, str]]:
    columns, last = tables.outbox.c, 0
    query = select(columns.seq, columns.payload).order_by(columns.seq).limit(_PAGE)
    while rows := connection.execute(query.where(columns.seq > last)).all():
        yield from ((seq, payload) for seq, payload in rows)
        last = rows[-1].seq


def _is_of(payload: str, user_keys: Collection[str]) -> bool:
    row = _loaded(payload)
    return row["user_id"] in user_keys if row else any(key in payload for key in user_keys)


def _blank_table(connection: Connection, table: Table, *, tenant: str, before: int) -> int:
    key = [column.name for column in table.primary_key]
    order = tuple_(*(table.c[name] for name in key))
    query = select(order.clauses[0], *list(order.clauses)[1:], table.c.payload)
    query = query.where(table.c.tenant == tenant, table.c.ts < before)
    query = query.order_by(*order.clauses).limit(_PAGE)
    blanked, last = 0, None
    while rows := connection.execute(
        query if last is None else query.where(order > tuple_(*last))
    ).all():
        for *names, payload in rows:
            row = _loaded(payload)
            if row is not None and _blank_row(row):
                mine = [table.c[name] == value for name, value in zip(key, names, strict=True)]
                connection.execute(update(table).where(*mine).values(payload=_dumped(row)))
                blanked += 1
        last = rows[-1][:-1]
    return blanked


def _blank_row(row: dict[str, Any]) -> bool:
    """Take a row's texts out; whether there were any."""
    holders = [row, *(row.get("candidates") or ())]
    texts = [holder for holder in holders if holder.get("text") is not None]
    for holder in texts:
        holder["text"] = None
    return bool(texts)


def _loaded(payload: str) -> dict[str, Any] | None:
    """The row, none where it is damaged; the relay puts such a one aside."""
    try:
        row = json.loads(payload)
    except ValueError:
        return None
    whole = isinstance(row, dict) and {"tenant", "user_id", "ts"} <= row.keys()
    return row if whole else None


def _dumped(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)
