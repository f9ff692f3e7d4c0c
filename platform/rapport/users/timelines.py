"""Timelines: what each user wrote and did, in order, read from the lake for a stated purpose."""

from collections.abc import Sequence

import polars as pl

from rapport.lake import Lake
from rapport.schema import CRISIS_FACET

KINDS = ("message", "click", "task_step", "rating", "dwell")
"""Kinds of event a timeline holds; `rating` and `dwell` are feedback, the others turns."""
_ACTIONS = ("click", "task_step")
_METRICS = ("rating", "dwell")
_ORDER = ("user_id", "ts", "kind", "turn_id")
_EVENT = ("user_id", "ts", "kind", "value", "turn_id")


def messages(lake: Lake, *, purpose: str, tenant: str = "default") -> pl.DataFrame:
    """What users wrote, by user and time: text messages of role `user`, none from a crisis.

    Returns:
        Columns `tenant, user_id, conversation_id, turn_id, turn_index, ts, text, agent_id`.
    """
    rows = messages_of(lake, purpose=purpose, tenant=tenant)
    return rows.sort("user_id", "ts", "turn_index").collect()


def messages_of(
    lake: Lake, *, purpose: str, also: Sequence[str] = (), tenant: str = "default"
) -> pl.LazyFrame:
    """The rows of `messages`, lazily and in no order; only those that allow `also` as well."""
    allowed = [pl.col("purposes").list.contains(other) for other in also]
    turns = lake.scan("turns", purpose=purpose)
    return turns.filter(
        pl.col("tenant") == tenant,
        pl.col("role") == "user",
        pl.col("kind") == "message",
        pl.col("text").is_not_null(),
        pl.col("facet").fill_null("") != CRISIS_FACET,
        *allowed,
    ).select(
        "tenant",
        "user_id",
        "conversation_id",
        "turn_id",
        "turn_index",
        "ts",
        "text",
        "agent_id",
    )


def events(lake: Lake, *, purpose: str, tenant: str = "default") -> pl.DataFrame:
    """What users did, by user and time.

    Returns:
        Columns `user_id, ts, kind, value, turn_id`: `value` is the rating or the seconds read,
        null for the others; `turn_id` is null for feedback and for messages of a crisis or
        without text, which count as events and carry no vector.
    """
    return in_order(events_of(lake, purpose=purpose, tenant=tenant).collect())


def events_of(lake: Lake, *, purpose: str, tenant: str = "default") -> pl.LazyFrame:
    """The rows of `events`, lazily and in no order."""
    turns = lake.scan("turns", purpose=purpose).filter(pl.col("tenant") == tenant)
    feedback = lake.scan("feedback", purpose=purpose).filter(pl.col("tenant") == tenant)
    return _merged(turns, feedback)


def in_order(events: pl.DataFrame) -> pl.DataFrame:
    """Events of whole users by user and time."""
    return events.sort(*_ORDER, maintain_order=True)


def timeline(turns: pl.LazyFrame, feedback: pl.LazyFrame) -> pl.LazyFrame:
    """Merge rows of `turns` and `feedback` into one timeline; see `events`."""
    return _merged(turns, feedback).sort(*_ORDER, maintain_order=True)


def _merged(turns: pl.LazyFrame, feedback: pl.LazyFrame) -> pl.LazyFrame:
    readable = pl.col("text").is_not_null() & (pl.col("facet").fill_null("") != CRISIS_FACET)
    wrote = turns.filter(pl.col("role") == "user", pl.col("kind") == "message").with_columns(
        turn_id=pl.when(readable).then(pl.col("turn_id")), value=pl.lit(None, pl.Float64)
    )
    acted = turns.filter(pl.col("kind").is_in(_ACTIONS)).with_columns(
        turn_id=pl.lit(None, pl.String), value=pl.lit(None, pl.Float64)
    )
    reported = feedback.filter(
        pl.col("metric_name").is_in(_METRICS), pl.col("value").is_finite()
    ).with_columns(kind=pl.col("metric_name"), turn_id=pl.lit(None, pl.String))
    parts = [part.select(_EVENT) for part in (wrote, acted, reported)]
    return pl.concat(parts)
