"""Who users are now: a vector and a persona for each encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, insert, select, update

from rapport.store.tables import microseconds, moment, user_states

_CHUNK = 400  # states asked for at once; SQLite binds at most 32,766 values in a statement


@dataclass(frozen=True, eq=False)
class UserState:
    """A user in one encoder's space."""

    tenant: str
    user_id: str
    """Keyed hash."""
    encoder_id: str
    last_event_ts: datetime
    """Latest event the vector knows, with a time zone."""
    vector: NDArray[np.float32]
    """[D]."""
    persona_id: str | None = None


def read_state(
    connection: Connection, tenant: str, user_id: str, encoder_id: str
) -> UserState | None:
    """The state of a user, none when he was never seen in this space."""
    columns = user_states.c
    query = select(user_states).where(
        columns.tenant == tenant, columns.user_id == user_id, columns.encoder_id == encoder_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    vector = np.frombuffer(row.vector, dtype="<f4").astype(np.float32)
    return UserState(tenant, user_id, encoder_id, moment(row.last_event_ts), vector, row.persona_id)


def write_states(connection: Connection, states: Sequence[UserState]) -> int:
    """Write states, skipping those older than the one that is there.

    A state of the same moment is written: a new segmentation changes the persona of users who
    said nothing since. Of two states of one user in a call, the later event wins.
    """
    latest: dict[tuple[str, str, str], UserState] = {}
    for state in sorted(states, key=lambda state: state.last_event_ts):
        latest[state.tenant, state.user_id, state.encoder_id] = state
    wanted, written = list(latest.values()), 0
    for start in range(0, len(wanted), _CHUNK):
        written += _write_chunk(connection, wanted[start : start + _CHUNK])
    return written


def _write_chunk(connection: Connection, states: Sequence[UserState]) -> int:
    columns = user_states.c
    query = select(
        columns.tenant, columns.user_id, columns.encoder_id, columns.last_event_ts
    ).where(columns.user_id.in_([state.user_id for state in states]))
    known = {tuple(key): ts for *key, ts in connection.execute(query)}
    rows = [_row(state) for state in states]
    key = ("tenant", "user_id", "encoder_id")
    fresh = [row for row in rows if tuple(row[name] for name in key) not in known]
    newer = [
        row
        for row in rows
        if row["last_event_ts"] >= known.get(tuple(row[name] for name in key), float("inf"))
    ]
    if fresh:
        connection.execute(insert(user_states), fresh)
    if newer:
        change = update(user_states).where(
            *(columns[name] == bindparam(f"_{name}") for name in key)
        )
        bound = [row | {f"_{name}": row[name] for name in key} for row in newer]
        connection.execute(change, bound)
    return len(fresh) + len(newer)


def _row(state: UserState) -> dict[str, object]:
    return {
        "tenant": state.tenant,
        "user_id": state.user_id,
        "encoder_id": state.encoder_id,
        "last_event_ts": microseconds(state.last_event_ts),
        "vector": np.ascontiguousarray(state.vector, dtype="<f4").tobytes(),
        "persona_id": state.persona_id,
    }
