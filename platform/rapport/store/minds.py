"""Users as serving last heard them: carried on with every message, the same on every gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, insert, select, update

from rapport.store.tables import microseconds, minds, moment

_KEY = ("tenant", "user_id", "encoder_id")


@dataclass(frozen=True, eq=False)
class MindState:
    """A user in one encoder's space after a message."""

    tenant: str
    user_id: str
    """Keyed hash."""
    encoder_id: str
    last_ts: datetime
    """When he was last heard, with a time zone."""
    vector: NDArray[np.float32] | None
    """[D], none where no release could make one."""
    episode_id: str | None
    """Conversation that curve and last arm belong to."""
    curve: tuple[float, float, int]
    """Value, scale and count of the sentiment curve."""
    last_arm: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it."""
        return self.tenant, self.user_id, self.encoder_id


def read_mind(
    connection: Connection, tenant: str, user_id: str, encoder_id: str
) -> MindState | None:
    """A user as he was last heard, none when he never was."""
    columns = minds.c
    query = select(minds).where(
        columns.tenant == tenant, columns.user_id == user_id, columns.encoder_id == encoder_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    known = row.vector is not None
    return MindState(
        tenant=tenant,
        user_id=user_id,
        encoder_id=encoder_id,
        last_ts=moment(row.last_ts),
        vector=np.frombuffer(row.vector, dtype="<f4").astype(np.float32) if known else None,
        episode_id=row.episode_id,
        curve=(row.curve_value, row.curve_scale, row.curve_count),
        last_arm=row.last_arm,
    )


def put_minds(connection: Connection, states: Sequence[MindState]) -> None:
    """Write states, skipping those older than the one that is there.

    Of one user's in a call the latest counts. Writers take turns, so nothing comes between the
    look and the write.
    """
    latest = {state.key: state for state in sorted(states, key=lambda state: state.last_ts)}
    if not latest:
        return
    columns = minds.c
    query = select(*(columns[name] for name in _KEY), columns.last_ts).where(
        columns.user_id.in_({state.user_id for state in latest.values()})
    )
    known = {tuple(key): ts for *key, ts in connection.execute(query)}
    rows = [_row(state) for state in latest.values()]
    fresh = [row for row in rows if _key_of(row) not in known]
    newer = [row for row in rows if row["last_ts"] >= known.get(_key_of(row), float("inf"))]
    if fresh:
        connection.execute(insert(minds), fresh)
    if newer:
        mine = [columns[name] == bindparam(f"_{name}") for name in _KEY]
        bound = [row | {f"_{name}": row[name] for name in _KEY} for row in newer]
        connection.execute(update(minds).where(*mine), bound)


def _key_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["tenant"], row["user_id"], row["encoder_id"]


def _row(state: MindState) -> dict[str, Any]:
    known = state.vector is not None
    value, scale, count = state.curve
    return {
        **dict(zip(_KEY, state.key, strict=True)),
        "last_ts": microseconds(state.last_ts),
        "vector": np.ascontiguousarray(state.vector, dtype="<f4").tobytes() if known else None,
        "episode_id": state.episode_id,
        "curve_value": value,
        "curve_scale": scale,
        "curve_count": count,
        "last_arm": state.last_arm,
    }
