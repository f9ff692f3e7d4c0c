"""Find a decision of a home: as serving committed it, else as it lies in the lake."""

from typing import Any

import polars as pl

from rapport.errors import ConfigError
from rapport.explanation.explain import explain
from rapport.explanation.shape import Explanation
from rapport.governance.tenants import EMBEDDED_TENANT
from rapport.home import Home
from rapport.lake import Lake
from rapport.store import open_store
from rapport.store.switches import Switch

LAST = "last"
"""Stands for a tenant's newest decision."""
_PURPOSE = "analytics"
_UNKNOWN = (
    "neither the store of this home holds it, nor the lake for the purpose 'analytics'; to list "
    'some: rapport sql "select decision_id, ts, mode from decisions order by ts desc limit 9"'
)


def explain_stored(
    home: Home, lake: Lake, decision_id: str, *, tenant: str = EMBEDDED_TENANT
) -> Explanation:
    """Explain a decision of a home, relayed to the lake or not yet.

    Args:
        home: Whose store.
        lake: Where what is not in the store may be.
        decision_id: Its id, or `LAST` for a tenant's newest.
        tenant: Whose newest.

    Raises:
        ConfigError: Neither store nor lake holds it, for this purpose.
    """
    row, history = _of_store(home, decision_id, tenant)
    if row is None:
        row = _of_lake(lake, decision_id, tenant)
    if row is None:
        raise ConfigError("DECISION_ID", decision_id, _UNKNOWN)
    return explain(row, home.releases, history=history)


def _of_store(
    home: Home, decision_id: str, tenant: str
) -> tuple[dict[str, Any] | None, list[Switch]]:
    if not home.has_store:
        return None, []
    store = open_store(home.store_url)
    try:
        history = store.switches.history()
        if decision_id == LAST:
            return next(iter(store.decisions(tenant, limit=1)), None), history
        return store.decision(decision_id), history
    finally:
        store.close()


def _of_lake(lake: Lake, decision_id: str, tenant: str) -> dict[str, Any] | None:
    rows = lake.scan("decisions", purpose=_PURPOSE)
    if decision_id == LAST:
        rows = rows.filter(pl.col("tenant") == tenant).sort("ts", descending=True)
    else:
        rows = rows.filter(pl.col("decision_id") == decision_id)
    found: list[dict[str, Any]] = rows.limit(1).collect().to_dicts()
    return found[0] if found else None
