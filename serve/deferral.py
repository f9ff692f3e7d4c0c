"""Decisions that count only once the client says that it did as it was told.

Such a decision is on disk at once and stays open, as one whose reply is still being said: it goes
to the lake when it is activated, by a call or by feedback on it.
"""

from collections.abc import Mapping
from typing import Any

from rapport.store import Store

DEFERRED = "deferred"
"""Feature of a decision's row: 1 while it waits, 0 once it counts."""


def is_deferred(row: Mapping[str, Any]) -> bool:
    """Whether a decision waits for word that it was carried out."""
    return bool(dict(row["features"] or {}).get(DEFERRED))


def activate(store: Store, row: Mapping[str, Any]) -> None:
    """Let a decision count; one that counts already stays as it is."""
    if is_deferred(row):
        features = {**dict(row["features"]), DEFERRED: 0.0}
        store.close_decision({**row, "features": features})
