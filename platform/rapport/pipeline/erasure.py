"""Erase users: from the store, the lake and what jobs left, so that no byte stays in the home."""

import re
from collections.abc import Collection
from typing import Any

import polars as pl

from rapport.errors import ConfigError
from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.lake.care import quoted
from rapport.pipeline.leftovers import Names, erase_leftovers
from rapport.pipeline.versions import forgetting, mark_not_retrainable, was_cut_off
from rapport.schema import SCHEMAS
from rapport.store import open_store

USER_TABLES = tuple(name for name, schema in SCHEMAS.items() if "user_id" in schema.names)


def erase_users(
    home: Home, lake: Lake, user_ids: Collection[str], *, tenant: str
) -> dict[str, Any]:
    """Remove everything about some users of a tenant, for good.

    Nobody may serve or run a job meanwhile, or they would come back: the home is held alone. Rows
    go from the store first, so that nothing of theirs can still reach the lake. A user nobody
    knows costs no release its old versions: nothing is touched. Cut off at any point, the same
    call completes it. What the outside still holds (log files, other homes, backups) is the
    operator's: ingested again, it is there again.

    Args:
        home: The installation.
        lake: Its lake.
        user_ids: As the outside knows them.
        tenant: Whose users they are.

    Returns:
        `rows` in all, then by place: `store`, `lake`, `work`; `not_retrainable` releases.

    Raises:
        ConfigError: An id is empty.
        LockedError: The home is served, or a job runs in it.
        UnavailableError: The store does not answer, or somebody reads it.
    """
    nameless = [user_id for user_id in user_ids if not user_id.strip()]
    if nameless or not user_ids:
        raise ConfigError("user id", "", "name the users as your logs and requests do")
    keys = frozenset(user_key(home.secret(), tenant, user_id) for user_id in user_ids)
    names = Names(tenant, frozenset(user_ids), keys)
    with home.alone():
        cut_off, in_lake, marked = was_cut_off(home), {}, []
        refused = _refused_rows(lake, names)
        in_store = _from_store(home, keys)
        if cut_off or in_store or refused or lake.count_users(keys):
            with forgetting(home):
                marked = mark_not_retrainable(home, lake, USER_TABLES)
                in_lake = lake.erase(keys)
                if cut_off or refused:
                    in_lake["quarantine"] = lake.delete("quarantine", _mentioning(names)) or 0
        in_work = erase_leftovers(home, names)
    places = {
        "store": in_store,
        "lake": {table: count for table, count in in_lake.items() if count},
        "work": in_work,
    }
    return {
        "users": len(keys),
        "rows": sum(sum(counts.values()) for counts in places.values()),
        **places,
        "not_retrainable": marked,
    }


def _from_store(home: Home, keys: Collection[str]) -> dict[str, int]:
    if not home.has_store:
        return {}
    store = open_store(home.store_url)
    try:
        return store.erase_users(keys)
    finally:
        store.close()


def _refused_rows(lake: Lake, names: Names) -> bool:
    """Whether a refused row, which says nowhere whose it is, mentions one of them."""
    theirs = pl.col("row").str.contains(_mention(names)) & (pl.col("tenant") == names.tenant)
    return bool(lake.scan("quarantine").filter(theirs).select(pl.len()).collect().item())


def _mentioning(names: Names) -> str:
    mention = f"regexp_like(coalesce(\"row\", ''), {quoted(_mention(names))})"
    return f"tenant = {quoted(names.tenant)} AND {mention}"


def _mention(names: Names) -> str:
    """Pattern of an id that stands by itself, as polars and DataFusion read it."""
    ids = "|".join(re.escape(name) for name in sorted(names.all))
    return rf"(^|[^0-9A-Za-z_])({ids})($|[^0-9A-Za-z_])"
