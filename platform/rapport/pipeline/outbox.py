"""The stage `relay_outbox`: what was served, from the store into the lake."""

from datetime import UTC, datetime
from typing import Any

from rapport.config import JobConfig
from rapport.home import home_of
from rapport.lake import lake_of
from rapport.store import open_store, relay


def relay_all(config: JobConfig) -> dict[str, Any]:
    """Close abandoned decisions, then move everything that waits to the lake."""
    store = open_store(home_of(config).store_url)
    try:
        abandoned = store.close_abandoned(datetime.now(UTC))
        return {**relay(store, lake_of(config)), "abandoned": abandoned}
    finally:
        store.close()
