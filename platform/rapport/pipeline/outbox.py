"""The stage `relay_outbox`: what was served, from the store into the lake."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rapport.config import JobConfig
from rapport.home import home_of
from rapport.lake import lake_of
from rapport.store import open_store, relay

ABANDONED_AFTER = timedelta(minutes=10)
"""A reply is never being said for longer; its process died."""


def relay_all(config: JobConfig) -> dict[str, Any]:
    """Close decisions whose process died, then move everything that waits to the lake."""
    store = open_store(home_of(config).store_url)
    try:
        abandoned = store.close_abandoned(datetime.now(UTC) - ABANDONED_AFTER)
        return {**relay(store, lake_of(config)), "abandoned": abandoned}
    finally:
        store.close()
