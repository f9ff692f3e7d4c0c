"""Rows of schema version 1 for what was just served."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rapport.schema import new_id

Origin = Literal["adapter", "base", "upstream", "library", "client", "fallback"]
"""Who wrote a candidate's text."""
DecisionMode = Literal["observe", "arm_first", "rerank", "rank", "control"]


@dataclass(frozen=True)
class Party:
    """Who is talking, under which agreement."""

    tenant: str
    user_id: str
    """Keyed hash."""
    known: bool
    """False when the request named no user: nothing is remembered of him."""
    agent_id: str
    purposes: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    journey_id: str | None = None
    task_id: str | None = None
    explorable: bool = True
    """Whether the tenant lets this user be explored on."""
    protected: bool = False
    """No warm adapter, no memory, no exploration."""

    def allows(self, purpose: str) -> bool:
        """Whether the user agreed to a purpose."""
        return purpose in self.purposes

    def event(self, ts: datetime) -> dict[str, Any]:
        """Columns that every event row of this party carries."""
        return {
            "tenant": self.tenant,
            "ts": ts,
            "ts_source": "received",
            "user_id": self.user_id,
            "agent_id": self.agent_id,
            "journey_id": self.journey_id,
            "purposes": list(self.purposes),
            "groups": dict(self.groups),
            "source": "serve",
        }


@dataclass(frozen=True)
class Episode:
    """Where in which conversation this exchange stands."""

    episode_id: str
    turn_index: int
    """Of the user's turn; the reply's is one more."""


def turn_row(
    party: Party,
    episode: Episode,
    *,
    role: str,
    text: str | None,
    **columns: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Build a message turn; an assistant's stands right after its user's."""
    reply = role == "assistant"
    return {
        **party.event(now()),
        "conversation_id": episode.episode_id,
        "turn_id": new_id(),
        "turn_index": episode.turn_index + reply,
        "role": role,
        "text": text,
        "kind": "message",
        "task_id": party.task_id,
        **columns,
    }


def candidate(
    candidate_id: str, *, arm: str | None, origin: str, probability: float, text: str | None
) -> dict[str, Any]:
    """Build one candidate of a decision; `probability` is exactly the one sampled from."""
    return {
        "candidate_id": candidate_id,
        "arm": arm,
        "text": text,
        "origin": origin,
        "nlp_score": None,
        "rec_score": None,
        "probability": probability,
        "features": {},
        "guard": None,
    }


def joined_reasons(*reasons: str | None) -> str | None:
    """Put what went less well into one text for `degraded`, none where nothing did."""
    return ", ".join(filter(None, reasons)) or None


def prefix_hash(tenant: str, user_id: str, messages: Sequence[tuple[str, str]]) -> str:
    """Hash of a conversation up to and with a reply we served, 64 hex digits.

    The next request of the same tenant and user whose messages start so belongs to that episode.
    """
    digest = hashlib.sha256(f"{tenant}\x1f{user_id}".encode())
    for role, text in messages:
        digest.update(f"\x1e{role}\x1f{text.strip()}".encode())
    return digest.hexdigest()


def now() -> datetime:
    """Return the present moment, UTC."""
    return datetime.now(UTC)
