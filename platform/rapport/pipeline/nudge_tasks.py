"""Open tasks of users, out of the log: what a nudge may be about.

A task is declared by a turn of kind `task` with a `task_id` and a feature `due` (Unix seconds); a
later one of the same task replaces it, so a date may move. A turn of kind `task_step` with the same
`task_id` is a step of it, and one with the feature `done` above 0 ends it.
"""

from datetime import datetime, timedelta

import polars as pl

from rapport.lake import Lake

PURPOSE = "proactive"
"""What the rows are read for: those of users who did not agree to it are not even looked at."""
HORIZON = timedelta(days=14)
_COLUMNS = ("tenant", "user_id", "task_id", "agent_id", "journey_id", "purposes", "groups")


def open_tasks(lake: Lake, *, tenant: str, now: datetime) -> pl.DataFrame:
    """Tasks that were declared, are not done, and are due after `now`.

    Returns:
        The columns of the turn that declared each, `declared` and `due` (UTC), and `urgency` and
        `begun`, both in [0, 1]: the share of its time that has passed (of the last fortnight, where
        it has longer), and whether a step was taken.
    """
    turns = lake.scan("turns", purpose=PURPOSE).filter(
        pl.col("tenant") == tenant, pl.col("task_id").is_not_null(), pl.col("ts") <= now
    )
    feature = pl.col("features").map.get
    declared = (
        turns.filter(pl.col("kind") == "task")
        .select(*_COLUMNS, declared="ts", due_s=feature("due"))
        .drop_nulls("due_s")
        .sort("declared")
        .unique(["user_id", "task_id"], keep="last", maintain_order=True)
    )
    steps = (
        turns.filter(pl.col("kind") == "task_step")
        .group_by("user_id", "task_id")
        .agg(steps=pl.len(), done=(feature("done").fill_null(0.0) > 0).any())
    )
    due = (pl.col("due_s") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    found = declared.join(steps, on=["user_id", "task_id"], how="left").with_columns(due=due)
    open_ = found.filter(~pl.col("done").fill_null(value=False), pl.col("due") > now)
    whole = (pl.col("due") - pl.col("declared")).clip(timedelta(hours=1), HORIZON)
    left = (pl.col("due") - pl.lit(now)) / whole
    return (
        open_.with_columns(
            urgency=(1.0 - left).clip(0.0, 1.0),
            begun=pl.col("steps").is_not_null().cast(pl.Float64),
        )
        .drop("steps", "done", "due_s")
        .sort("user_id", "due", "task_id")
        .collect()
    )
