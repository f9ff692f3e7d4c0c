"""What serving remembers of a user: the batch side's vector, carried on with every message.

It lies in the store, written with the exchange that changed it: a restart forgets nothing, and
every gateway knows the same.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rapport.affect.curve import CurvePoint, advance
from rapport.store import MindState, Store
from rapport.users.encoder import UserEncoder

from .reading import Reading

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
            known = self.vector is not None and len(self.vector) == users.width
            vector = users.observe(
                self.vector if self.vector is not None and known else users.empty(),
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
            curve=advance(curve, reading.sentiment) if reading.readable else curve,
            last_arm=self.last_arm if same else None,
        )


class Minds:
    """Minds of users in one encoder's space. No state of its own; thread-safe."""

    def __init__(self, store: Store, encoder_id: str) -> None:
        self._store, self._encoder_id = store, encoder_id

    def recall(self, tenant: str, user_id: str) -> Mind:
        """Get a user's mind as it was after his last message.

        The batch jobs' vector counts where it knows the latest event, or where serving has none.

        Raises:
            UnavailableError: The store does not answer.
        """
        heard, known = self._store.mind(tenant, user_id, self._encoder_id)
        mind = _mind(heard) if heard else Mind()
        if known is None:
            return mind
        behind = mind.last_ts is None or known.last_event_ts >= mind.last_ts
        if behind or mind.vector is None:
            return replace(mind, vector=known.vector, last_ts=known.last_event_ts)
        return mind


def _mind(state: MindState) -> Mind:
    return Mind(
        vector=state.vector,
        last_ts=state.last_ts,
        episode_id=state.episode_id,
        curve=CurvePoint(*state.curve),
        last_arm=state.last_arm,
    )
