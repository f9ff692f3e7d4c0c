"""The users of a canary: what each is worth, settled before he counts and never changed after."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.canaries import Canary
from rapport.evaluation.canary import Panel
from rapport.evaluation.diagnostics import WORST_REWARD
from rapport.governance.tenants import TenantPolicy, policy_of
from rapport.lake import Lake
from rapport.policy.control import in_control
from rapport.policy.dataset import ARM_MODES

PURPOSE = "experiment"
OUTCOMES = ("full", "guard_replaced", "fallback")
"""What may become of a reply that a release chose; a request for something else is no outcome."""
_WHO = ("tenant", "user_id")


def panel_of(
    lake: Lake, canary: Canary, tenants: Mapping[str, TenantPolicy], *, now: datetime
) -> Panel:
    """Read what is settled by now of the users of a canary, in the order in which they came.

    A user counts on the side that the hash deals him, whichever release answered (intention to
    treat): a gateway may take up a canary seconds late. His value is the mean reward of his
    decisions in the first `window_h` hours, as far as rewards were known `wait_h` hours later; a
    look at another time finds the same. Personas are those of the last segmentation.

    Args:
        lake: Decisions, rewards, persona assignments.
        canary: Its rules.
        tenants: Whom their policies let be tried on.
        now: UTC.
    """
    decisions = _decisions(lake, canary)
    first = decisions.group_by(_WHO).agg(first=pl.col("ts").min())
    first = first.filter(pl.col("first") + canary.settles <= now)
    decisions = decisions.join(first, on=_WHO).filter(
        pl.col("ts") < pl.col("first") + pl.duration(hours=canary.window_h)
    )
    rewarded = decisions.join(_rewards(lake), on="decision_id", how="left").with_columns(
        value=pl.when(pl.col("as_of") <= pl.col("first") + canary.settles).then("value")
    )
    latest = (
        rewarded.sort("reward_version", "as_of", nulls_last=False)
        .group_by("decision_id")
        .agg(pl.col(*_WHO, "first", "ts", "groups").first(), pl.col("value").drop_nulls().last())
    )
    users = (
        latest.group_by(_WHO)
        .agg(
            pl.col("first").first(),
            pl.col("groups").sort_by("ts").first(),
            value=pl.col("value").mean(),
            filled=pl.col("value").fill_null(WORST_REWARD).mean(),
        )
        .join(lake.scan("persona_assignments").select(*_WHO, "persona_id").collect(),
              on=_WHO, how="left")
        .sort("first", "user_id")
    )  # fmt: skip
    users = users.filter(pl.Series(_tried_on(users, tenants), dtype=pl.Boolean))
    return Panel(
        value=users["value"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        filled=users["filled"].cast(pl.Float64).to_numpy(),
        treated=np.array([canary.takes(user) for user in users["user_id"]], dtype=bool),
        share=canary.share,
        groups={"persona": _text(users["persona_id"]), **_declared(users)},
    )


def _decisions(lake: Lake, canary: Canary) -> pl.DataFrame:
    found = lake.scan("decisions", purpose=PURPOSE).filter(
        pl.col("ts") >= canary.since,
        pl.col("release_id").is_in([canary.release, canary.against]),
        pl.col("mode").is_in(ARM_MODES),
        pl.col("delivered").is_in(OUTCOMES),
    )
    return found.select(*_WHO, "ts", "decision_id", "groups").unique("decision_id").collect()


def _rewards(lake: Lake) -> pl.DataFrame:
    columns = ("decision_id", "reward_version", "as_of", "value")
    return lake.scan("rewards", purpose=PURPOSE).select(columns).collect()


def _tried_on(users: pl.DataFrame, tenants: Mapping[str, TenantPolicy]) -> list[bool]:
    """Whom serving would have tried it on: not of control, and let by the tenant's policy."""
    found = []
    for row in users.select(*_WHO, "groups").iter_rows(named=True):
        policy = policy_of(tenants, row["tenant"])
        band = dict(row["groups"] or ()).get("age_band")
        may = policy.may_explore(band) and not policy.is_protected(band)
        found.append(may and not in_control(row["user_id"]))
    return found


def _declared(users: pl.DataFrame) -> dict[str, NDArray[np.str_]]:
    """Declared groups that tell users apart."""
    told = [dict(entries or ()) for entries in users["groups"]]
    kinds = sorted({kind for row in told for kind in row})
    found = {kind: np.array([row.get(kind, "") for row in told], dtype=np.str_) for kind in kinds}
    return {kind: labels for kind, labels in found.items() if len(np.unique(labels)) > 1}


def _text(column: pl.Series) -> NDArray[np.str_]:
    return np.array(column.fill_null("").to_list(), dtype=np.str_)
