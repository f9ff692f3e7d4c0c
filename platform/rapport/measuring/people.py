"""The people of a simulated log as the batch side sees them: encoded, fitted, assigned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.personas.fit import LEAST_USERS, fit
from rapport.personas.gathering import LEAST_TURNS
from rapport.personas.model import PersonaModel
from rapport.progress import progress
from rapport.schema import CRISIS_FACET
from rapport.simulation.logs import SimulatedLog
from rapport.text import TextEncoder
from rapport.users.encoder import UserEncoder, UserParts
from rapport.users.timelines import timeline

_BLOCK = 512
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class People:
    """U users of a log in order of id, and the N messages they wrote."""

    user_ids: list[str]
    parts: UserParts
    vectors: NDArray[np.float32]
    user: IntArray
    """[N] place of each message's user."""
    conversation: IntArray

    def fitted(self, keep: NDArray[np.bool_], *, seed: int) -> PersonaModel:
        """Personas learned from some users [U] mask, of them those who wrote enough."""
        enough = keep & (np.bincount(self.user, minlength=len(keep)) >= LEAST_TURNS)
        rows = enough[self.user]
        place = np.cumsum(enough) - 1
        return fit(
            self.vectors[rows],
            place[self.user[rows]],
            seed=seed,
            conversations=self.conversation[rows],
            features=self.parts.features[enough],
        )

    def assigned(self, model: PersonaModel) -> IntArray:
        """[U] place of each user's likeliest persona, as `segment_personas` assigns it."""
        posterior = model.posterior(self.parts.mean, self.parts.n, self.parts.features)
        return np.asarray(posterior.argmax(axis=1), np.int64)


def messages(log: SimulatedLog) -> pl.DataFrame:
    """Messages of users that may be read, by user and time."""
    told = log.turns.filter(
        pl.col("role") == "user",
        pl.col("kind") == "message",
        pl.col("text").is_not_null(),
        pl.col("facet").fill_null("") != CRISIS_FACET,
    )
    return told.sort("user_id", "ts", "turn_id")


def people_of(
    log: SimulatedLog,
    user_ids: Sequence[str],
    encoder: TextEncoder,
    users: UserEncoder | None = None,
) -> People:
    """Those of some users who wrote, encoded as the batch side encodes them.

    Args:
        log: Theirs.
        user_ids: Whom to take.
        encoder: Text encoder.
        users: The user encoder; none fits one on them.

    Raises:
        TooLittleDataError: Fewer than fits on their halves need.
    """
    told = messages(log).filter(pl.col("user_id").is_in(user_ids))
    wrote = told["user_id"].unique().to_list()
    if len(wrote) < 2 * LEAST_USERS:
        what = "users with a message, to find personas in on their halves too"
        raise TooLittleDataError(what, len(wrote), 2 * LEAST_USERS, "simulate more users")
    theirs = pl.col("user_id").is_in(wrote)
    events = timeline(log.turns.lazy().filter(theirs), log.feedback.lazy().filter(theirs)).collect()
    vectors = _encoded(told["text"], encoder)
    numbered = told.select("turn_id").with_row_index("row")
    row = events.join(numbered, on="turn_id", how="left", maintain_order="left")["row"]
    made = users or UserEncoder.fit(events, encoder_id=encoder.encoder_id, dim=encoder.dim)
    known = made.encode(events, row.cast(pl.Int64).fill_null(-1).to_numpy(), vectors)
    return People(
        user_ids=known.user_ids,
        parts=made.parts(known.vectors),
        vectors=vectors,
        user=np.searchsorted(np.array(known.user_ids), told["user_id"].to_numpy()),
        conversation=np.unique(told["conversation_id"].to_numpy(), return_inverse=True)[1],
    )


def _encoded(texts: pl.Series, encoder: TextEncoder) -> NDArray[np.float32]:
    """Vectors [N, D], some hundred texts at a time."""
    vectors = np.empty((len(texts), encoder.dim), np.float32)
    with progress("embedding messages", len(texts)) as advance:
        for start in range(0, len(texts), _BLOCK):
            part = texts[start : start + _BLOCK].to_list()
            vectors[start : start + len(part)] = encoder.encode(part)
            advance(len(part))
    return vectors
