"""Decisions that count only once the client says that it did as it was told.

Such a decision is on disk at once and stays open, as one whose reply is still being said: it goes
to the lake when it is activated, by a call or by feedback on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rapport.affect.waiting import terms
from rapport.schema import content_id
from rapport.store import Store

DEFERRED = "deferred"
"""Feature of a decision's row: 1 while it waits, 0 once it counts."""


@dataclass(frozen=True)
class Event:
    """A decision whose reward the client promised to report."""

    decision_id: str
    named: bool
    """Whether the client named it, so that it may come again: rows about it get ids that follow
    from its own, and whatever comes again is there already."""
    default_reward: float
    wait_s: float
    """Seconds within which it is to be activated, and its reward to come."""

    def terms(self) -> dict[str, float]:
        """Features that the decision carries."""
        return terms(self.default_reward, wait_s=self.wait_s)

    def turn_id(self, role: str) -> dict[str, str]:
        """The id of one of its turns as a column; none where it is as random as any other."""
        return {"turn_id": content_id(self.decision_id, role)} if self.named else {}


def is_deferred(row: Mapping[str, Any]) -> bool:
    """Whether a decision waits for word that it was carried out."""
    return bool(dict(row["features"] or {}).get(DEFERRED))


def activate(store: Store, row: Mapping[str, Any]) -> None:
    """Let a decision count; one that counts already stays as it is."""
    if is_deferred(row):
        features = {**dict(row["features"]), DEFERRED: 0.0}
        store.close_decision({**row, "features": features})
