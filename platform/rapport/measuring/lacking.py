"""What a log lacks for a policy to be learned from it and judged on it, in sentences."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from rapport.lake import Lake

_LITTLE = 0.1
"""Share of replies with feedback of their own below which that is worth saying."""


def lacking(
    lake: Lake, counts: Mapping[str, Any], labelled: Mapping[str, Any], *, tenant: str
) -> tuple[str, ...]:
    """Say what is missing in a log that was ingested and labelled, and what follows.

    Args:
        lake: Where it lies.
        counts: What the ingest said.
        labelled: What `label_arms` said.
        tenant: Whose log it is.
    """
    known = {
        name: lake.scan(name, purpose="train").filter(pl.col("tenant") == tenant)
        for name in ("turns", "decisions", "feedback")
    }
    said = [*_users(known["turns"], counts), *_feedback(known["feedback"], known["decisions"])]
    said += [*_propensities(known["decisions"]), *_kinds(labelled), *_left_out(counts)]
    return tuple(said)


def _users(turns: pl.LazyFrame, counts: Mapping[str, Any]) -> list[str]:
    calls = int(counts.get("calls", 0))
    said = [
        f"{counts[name]:,} of {calls:,} calls name no {what}: {follows}"
        for name, what, follows in (
            ("calls_without_user", "user", "each conversation counts as a person of its own"),
            ("calls_without_session", "conversation", "each request stands alone, and no next "
             "message answers a reply"),
        )
        if counts.get(name)
    ]  # fmt: skip
    shape = turns.select(
        users=pl.col("user_id").n_unique(),
        talks=pl.col("conversation_id").n_unique(),
        made_up=(pl.col("ts_source") == "estimated").mean(),
    ).collect()
    users, talks, made_up = shape.row(0)
    if talks and users == talks and not said:
        said.append("every user has one conversation: nothing is known of who returns")
    if made_up:
        said.append(f"{made_up:.0%} of the times are made up: waits and hours mean nothing there")
    return said


def _feedback(feedback: pl.LazyFrame, decisions: pl.LazyFrame) -> list[str]:
    replies = decisions.select(pl.len()).collect().item()
    rated = feedback.select(pl.struct("episode_id", "ts").n_unique()).collect().item()
    if rated >= _LITTLE * replies:
        return []
    held = f"{rated:,} ratings or scores for {replies:,} replies"
    return [f"{held}: what people wrote next is most of what says how a reply was taken"]


def _propensities(decisions: pl.LazyFrame) -> list[str]:
    known = decisions.select("propensity_source").collect()["propensity_source"]
    guessed = int((known == "estimated").sum())
    if not guessed:
        return []
    return [f"{guessed:,} of {len(known):,} replies have no logged propensity: it is estimated"]


def _kinds(labelled: Mapping[str, Any]) -> list[str]:
    unsure, replies = int(labelled.get("unsure", 0)), int(labelled.get("replies", 0))
    said = []
    if unsure:
        said.append(f"{unsure:,} of {replies:,} replies show no kind surely and are left out")
    if labelled.get("stopped_by"):
        said.append(f"labelling ended by its {labelled['stopped_by']}")
    return said


def _left_out(counts: Mapping[str, Any]) -> list[str]:
    said = []
    if counts.get("undeclared_feedback"):
        said.append(
            f"{counts['undeclared_feedback']:,} scores are of metrics the tenant did not declare "
            "(metrics: in tenants.yaml, or --mapping): they move no reward"
        )
    without = dict(counts.get("left_out") or {}).get("without content")
    if without:
        said.append(f"{without:,} calls were logged without content and cannot be read")
    if counts.get("note"):
        said.append(str(counts["note"]))
    return said
