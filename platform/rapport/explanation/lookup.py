"""Find a decision of a home: as serving committed it, else as it lies in the lake."""

from typing import Any

import polars as pl

from rapport.errors import ConfigError
from rapport.explanation.explain import explain
from rapport.explanation.shape import Explanation
from rapport.home import Home
from rapport.lake import Lake
from rapport.store import open_store
from rapport.store.switches import Switch

_PURPOSE = "analytics"
_UNKNOWN = (
    "neither the store of this home holds it, nor the lake for the purpose 'analytics'; to list "
    'some: rapport sql "select decision_id, ts, mode from decisions order by ts desc limit 9"'
)


def explain_stored(home: Home, lake: Lake, decision_id: str) -> Explanation:
    """Explain a decision of a home, relayed to the lake or not yet.

    Raises:
        ConfigError: Neither store nor lake holds it, for this purpose.
    """
    row, history = _of_store(home, decision_id)
    if row is None:
        row = _of_lake(lake, decision_id)
    if row is None:
        raise ConfigError("DECISION_ID", decision_id, _UNKNOWN)
    return explain(row, home.releases, history=history)


def _of_store(home: Home, decision_id: str) -> tuple[dict[str, Any] | None, list[Switch]]:
    if not home.has_store:
        return None, []
    store = open_store(home.store_url)
    try:
        return store.decision(decision_id), store.switches.history()
    finally:
        store.close()


def _of_lake(lake: Lake, decision_id: str) -> dict[str, Any] | None:
    rows = lake.scan("decisions", purpose=_PURPOSE).filter(pl.col("decision_id") == decision_id)
    found: list[dict[str, Any]] = rows.limit(1).collect().to_dicts()
    return found[0] if found else None
