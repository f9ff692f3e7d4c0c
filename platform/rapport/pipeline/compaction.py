"""The stage `compact_lake`: texts past their time go, small files merge, old versions go."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rapport.governance.tenants import load_tenants
from rapport.home import Home, home_of
from rapport.lake import Lake, lake_of
from rapport.lake.care import TEXT_TABLES, Size
from rapport.pipeline.settings import CompactConfig
from rapport.pipeline.versions import (
    forgetting,
    mark_not_retrainable,
    named_versions,
    was_cut_off,
)
from rapport.store import open_store


def compact_lake(config: CompactConfig) -> dict[str, Any]:
    """Take care of every table of the lake.

    1. Texts older than their tenant's `retention_days` become null, here and in the store, and
       the tables forget their old versions; releases made from those are marked.
    2. Small files are merged.
    3. Files go that neither the newest version nor one that a release or a candidate was made
       from names, those of killed writers among them.

    Safe beside running appends, and after a crash at any point: run it again.

    Returns:
        `blanked` rows by table, `not_retrainable` releases, `files` and `bytes` before and after,
        `removed` files, `kept` versions by table; `stopped_by` the budget, between two tables.
    """
    started = time.monotonic()
    home, lake = home_of(config), lake_of(config)
    before = _size(lake)
    blanked, marked = _enforce_retention(home, lake)
    removed, kept, left = 0, {}, []
    for table in lake.tables():
        if config.seconds is not None and time.monotonic() - started > config.seconds:
            left.append(table)
            continue
        lake.compact(table, least=config.least_files)
        # Asked anew for each table: a candidate may have been made meanwhile.
        kept[table] = _named(home, lake, table)
        removed += lake.vacuum(table, keep=kept[table], grace_hours=config.grace_hours)
    after = _size(lake)
    return {
        "before": asdict(before),
        "after": asdict(after),
        "removed": removed,
        "kept": {table: len(versions) for table, versions in kept.items() if versions},
        "blanked": blanked,
        "not_retrainable": marked,
        **({"stopped_by": f"budget, left for the next run: {', '.join(left)}"} if left else {}),
    }


def _size(lake: Lake) -> Size:
    return sum((lake.size(table) for table in lake.tables()), Size())


def _named(home: Home, lake: Lake, table: str) -> set[int]:
    versions = named_versions(home, lake).values()
    return {named[table] for named in versions if table in named}


def _enforce_retention(home: Home, lake: Lake) -> tuple[dict[str, int], list[str]]:
    """Blank what is past its time; after a crash, make every table forget that may have to."""
    now = datetime.now(UTC)
    limits = {
        tenant: now - timedelta(days=policy.retention_days)
        for tenant, policy in load_tenants(home.tenants).items()
        if policy.retention_days is not None
    }
    blanked, marked = Counter({"store": _blank_store(home, limits)}), []
    old = [(t, *limit) for t in TEXT_TABLES for limit in limits.items() if _has(lake, t, *limit)]
    late = set(lake.tables()) if was_cut_off(home) else set()
    if old or late:
        with forgetting(home):
            marked = mark_not_retrainable(home, lake, {table for table, *_ in old} | late)
            for table, tenant, before in old:
                blanked[table] += lake.blank_texts(table, tenant=tenant, before=before)
            for table in late:
                lake.forget(table)
    return {name: count for name, count in blanked.items() if count}, marked


def _has(lake: Lake, table: str, tenant: str, before: datetime) -> bool:
    return lake.old_texts(table, tenant=tenant, before=before) > 0


def _blank_store(home: Home, limits: Mapping[str, datetime]) -> int:
    if not limits or not home.has_store:
        return 0
    store = open_store(home.store_url)
    try:
        blanked = sum(store.blank_texts(tenant, before=at) for tenant, at in limits.items())
        # Each time: an earlier run may have died before it came to this.
        store.scrub()
        return blanked
    finally:
        store.close()
