"""The simulator's logged replies as examples for adapters, with the arm each was given under."""

import polars as pl

from rapport.arms import load_menu
from rapport.language.examples import Example, LoggedReply
from rapport.language.prompts import Message
from rapport.simulation import SimulatedLog
from rapport.users.split import part_of


def logged_replies(log: SimulatedLog) -> list[LoggedReply]:
    said = log.turns.filter(pl.col("role") == "user", pl.col("kind") == "message").select(
        said="text", episode_id="conversation_id", turn_index=pl.col("turn_index") + 1
    )
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct
    rows = (
        log.decisions.with_columns(arm=taken.field("arm"), reply=taken.field("text"))
        .join(said, on=["episode_id", "turn_index"])
        .join(log.decision_truth.select("decision_id", "persona", "reward"), on="decision_id")
        .filter(pl.col("arm").is_not_null())
    )
    return [
        LoggedReply(
            decision_id=row["decision_id"],
            reward=row["reward"],
            example=Example(
                messages=[Message(role="user", content=row["said"])],
                reply=row["reply"],
                arm=load_menu(row["agent_id"])[row["arm"]],
                persona=f"persona-{row['persona']}",
                user=row["user_id"],
            ),
        )
        for row in rows.iter_rows(named=True)
    ]


def of(logged: list[LoggedReply], part: str) -> list[LoggedReply]:
    return [each for each in logged if part_of(each.example.user) == part]
