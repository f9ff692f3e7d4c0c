"""Rewards that somebody promised to report, and what stands in when the wait is over.

A decision carries its own terms among its features, so a change of settings changes none that was
made, and nothing has to be remembered elsewhere: the default is worked out anew whenever rewards
are. So it counts once, and a reward that comes after all takes its place.
"""

from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

DEFAULT_REWARD, REWARD_WAIT_S = "default_reward", "reward_wait_s"
"""Features of such a decision: what it earns where nothing comes back, and within which seconds."""


def terms(default: float, *, wait_s: float) -> dict[str, float]:
    """Features of a decision whose reward is waited for."""
    return {DEFAULT_REWARD: default, REWARD_WAIT_S: wait_s}


def overdue(decisions: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Decisions whose wait is over: `decision_id`, `default_reward` in [-1, 1].

    Left out are those that nobody said were carried out (`fallback`).

    Args:
        decisions: Rows of the decisions table.
        as_of: Now, UTC.
    """
    features = decisions.select("features").to_arrow().column(0).combine_chunks()
    named = {
        name: pl.Series(name, _value(features, name), dtype=pl.Float64)
        for name in (DEFAULT_REWARD, REWARD_WAIT_S)
    }
    due = pl.col("ts") + pl.duration(microseconds=(pl.col(REWARD_WAIT_S) * 1e6).cast(pl.Int64))
    return (
        decisions.select("decision_id", "ts", "delivered")
        .with_columns(**named)
        .filter(due <= as_of, pl.col("delivered") != "fallback")
        .select("decision_id", DEFAULT_REWARD)
        .drop_nulls()
    )


def _value(features: pa.Array, name: str) -> pa.Array:
    return pc.map_lookup(features, pa.scalar(name, features.type.key_type), occurrence="first")
