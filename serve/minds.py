"""What serving remembers of a user: the batch side's vector, carried on with every message."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rapport.affect.curve import CurvePoint, advance
from rapport.store import Store
from rapport.users.encoder import UserEncoder

from .reading import Reading

MAX_MINDS = 10_000
START = CurvePoint()


@dataclass(frozen=True)
class Mind:
    """A user as serving sees him; immutable, so concurrent requests never see half of one."""

    vector: NDArray[np.float32] | None = None
    """User vector, see `rapport.users.encoder`; none of an unknown user."""
    last_ts: datetime | None = None
    episode_id: str | None = None
    """Conversation that the curve and the last arm belong to."""
    curve: CurvePoint = START
    last_arm: str | None = None

    def heard(
        self, reading: Reading, ts: datetime, episode_id: str, users: UserEncoder | None
    ) -> "Mind":
        """Take in one message; a new conversation starts a new curve."""
        same = episode_id == self.episode_id
        vector = None
        if users is not None:
            gone = (ts - self.last_ts).total_seconds() if self.last_ts else None
            vector = users.observe(
                users.empty() if self.vector is None else self.vector,
                kind="message",
                elapsed_s=gone,
                turn_vector=reading.vector,
            )
        curve = self.curve if same else CurvePoint()
        return replace(
            self,
            vector=vector,
            last_ts=ts,
            episode_id=episode_id,
            curve=advance(curve, reading.sentiment),
            last_arm=self.last_arm if same else None,
        )


class Minds:
    """Minds of the users lately heard, at most `MAX_MINDS`; the rest are read from the store.

    The store holds what the batch jobs knew. What a user said since then and before this process
    started is not in it; the next batch run brings it. Thread-safe.
    """

    def __init__(self, store: Store, encoder_id: str) -> None:
        self._store, self._encoder_id = store, encoder_id
        self._minds: OrderedDict[tuple[str, str], Mind] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, tenant: str, user_id: str) -> Mind:
        """Get a user's mind as it was after his last message."""
        with self._lock:
            mind = self._minds.get((tenant, user_id))
        if mind is not None:
            return mind
        state = self._store.user_state(tenant, user_id, self._encoder_id)
        return Mind(state.vector, state.last_event_ts) if state else Mind()

    def keep(self, tenant: str, user_id: str, mind: Mind) -> None:
        """Remember a mind, forgetting the longest unheard beyond the bound."""
        with self._lock:
            self._minds[tenant, user_id] = mind
            self._minds.move_to_end((tenant, user_id))
            while len(self._minds) > MAX_MINDS:
                self._minds.popitem(last=False)

    def forget_all(self) -> None:
        """Drop everything, so that a new release's states are read afresh."""
        with self._lock:
            self._minds.clear()
