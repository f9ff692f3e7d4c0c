"""A first look at a log: how much it holds, and one conversation of it."""

from dataclasses import dataclass

import polars as pl

from rapport.lake import Lake

_LINES = 6
"""Messages shown of the conversation."""
_WIDTH = 96


@dataclass(frozen=True)
class Sample:
    """What a log holds."""

    users: int
    conversations: int
    messages: int
    ratings: int
    rating: float | None
    """Their mean."""
    lines: tuple[tuple[str, str], ...]
    """Role and text of one rated conversation's first messages."""
    rated: float | None
    """The last rating in it."""


def sample_of(lake: Lake, *, tenant: str = "default") -> Sample:
    """Look at a tenant's log, at rows that may be read for analytics."""
    turns = lake.scan("turns", purpose="analytics").filter(
        pl.col("tenant") == tenant, pl.col("kind") == "message", pl.col("text").is_not_null()
    )
    columns = ("user_id", "conversation_id", "turn_index", "role", "text")
    said = turns.select(columns).collect()
    ratings = _ratings(lake, tenant)
    chosen = _chosen(said, ratings)
    shown = said.filter(pl.col("conversation_id") == chosen).sort("turn_index").head(_LINES)
    mean = ratings["value"].mean()
    of_it = ratings.filter(pl.col("episode_id") == chosen)["value"]
    return Sample(
        users=said["user_id"].n_unique(),
        conversations=said["conversation_id"].n_unique(),
        messages=said.height,
        ratings=ratings.height,
        rating=mean if isinstance(mean, float) else None,
        lines=tuple((role, _cut(text)) for role, text in shown.select("role", "text").iter_rows()),
        rated=of_it[-1] if of_it.len() else None,
    )


def _ratings(lake: Lake, tenant: str) -> pl.DataFrame:
    rows = lake.scan("feedback", purpose="analytics").filter(
        pl.col("tenant") == tenant, pl.col("metric_name") == "rating", pl.col("value").is_not_null()
    )
    named = pl.coalesce("episode_id", "decision_id").alias("of")
    found = rows.select(named, "value").collect()
    decisions = lake.scan("decisions", purpose="analytics").filter(pl.col("tenant") == tenant)
    episodes = decisions.select(of="decision_id", episode="episode_id").collect()
    joined = found.join(episodes, on="of", how="left")
    return joined.select(pl.coalesce("episode", "of").alias("episode_id"), "value")


def _chosen(said: pl.DataFrame, ratings: pl.DataFrame) -> str:
    """A conversation of some length, a rated one where there is one; empty where all are short."""
    long = said.group_by("conversation_id").len().filter(pl.col("len") >= 4).sort("conversation_id")
    rated = long.join(ratings, left_on="conversation_id", right_on="episode_id", how="semi")
    found = rated if rated.height else long
    return str(found.sort("conversation_id")["conversation_id"][0]) if found.height else ""


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}..."
