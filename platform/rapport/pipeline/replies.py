"""Logged replies that no decision stands for, each with the message it answered."""

from dataclasses import dataclass

import polars as pl

from rapport.lake import Lake
from rapport.pipeline.label_rows import POLICY_ID
from rapport.schema import CRISIS_FACET

_CONVERSATION = ["conversation_id"]


@dataclass(frozen=True)
class Replies:
    """Rows of `turns` by conversation and place, with `message`, the user's last one before."""

    frame: pl.DataFrame

    @property
    def height(self) -> int:
        """How many there are."""
        return self.frame.height

    def of(self, agent_id: str) -> "Replies":
        """Those of one agent."""
        return Replies(self.frame.filter(agent_id=agent_id))


def open_replies(lake: Lake, *, tenant: str) -> tuple[Replies, dict[str, int]]:
    """Find the replies that `label_arms` may label.

    Read for the purpose `train`. A reply in a crisis, or without a user's message before it, is
    none; nor is one that has its decision already.

    Returns:
        The replies, and how many decisions those logs hold that are left alone, by source.
    """
    decisions = lake.scan("decisions", purpose="train").filter(pl.col("tenant") == tenant)
    made = decisions.select("source", "policy_id", "turn_index", conversation_id="episode_id")
    known = made.collect()
    foreign = known.filter(pl.col("policy_id").ne_missing(POLICY_ID))
    left_alone = dict(foreign["source"].value_counts().sort("source").iter_rows())
    turns = lake.scan("turns", purpose="train").filter(
        pl.col("tenant") == tenant,
        pl.col("kind") == "message",
        pl.col("text").is_not_null(),
        ~pl.col("source").is_in(list(left_alone)),
    )
    told = turns.sort("conversation_id", "turn_index").collect()
    own = known.filter(pl.col("policy_id").eq_missing(POLICY_ID))
    asked = pl.when(pl.col("role") == "user")
    open_ = (
        told.with_columns(
            message=asked.then("text").forward_fill().over("conversation_id"),
            asked_facet=asked.then(pl.col("facet").fill_null(""))
            .forward_fill()
            .over("conversation_id"),
        )
        .filter(
            pl.col("role") == "assistant",
            pl.col("message").is_not_null(),
            pl.col("facet").ne_missing(CRISIS_FACET),
            pl.col("asked_facet") != CRISIS_FACET,
        )
        .join(foreign.select(_CONVERSATION).unique(), on=_CONVERSATION, how="anti")
        .join(own, on=["conversation_id", "turn_index"], how="anti", maintain_order="left")
    )
    return Replies(open_.sort("conversation_id", "turn_index")), left_alone
