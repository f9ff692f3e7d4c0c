"""What the log holds and lacks, with the advice a colleague would give."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from rapport.report.blocks import Section, Table
from rapport.report.facts import Facts
from rapport.report.outcomes import counted

FEW_USERS, FEW_TURNS = 200, 5
"""Below, personas are guesses: users a log should have, and turns a user."""


@dataclass(frozen=True)
class Advice:
    """A finding, what follows from it, and what to do."""

    finding: str
    follows: str
    remedy: str


def hold(facts: Facts) -> Section:
    """The section."""
    turns = facts.events(
        "turns", "user_id", "conversation_id", "role", "kind", "ts", "ts_source", "source"
    )
    found = advise(facts, turns)
    blocks = [_sizes(facts, turns), *_metrics(facts)]
    if found:
        rows = [(one.finding, one.follows, one.remedy) for one in found]
        blocks.append(Table("Advice", ("found", "what follows", "what to do"), rows))
    return Section("What the log holds and lacks", [_span(turns)], blocks)


def advise(facts: Facts, turns: pl.DataFrame) -> list[Advice]:
    """What is too little or missing."""
    users = turns["user_id"].n_unique()
    said = turns.filter((pl.col("kind") == "message") & (pl.col("role") == "user"))
    feedback = facts.events("feedback", "metric_name")
    decisions = facts.events("decisions", "propensity_source")
    quarantined = facts.events("quarantine", "reason").height
    logged = decisions.filter(pl.col("propensity_source") != "estimated").height
    untimed = turns.filter((pl.col("ts_source") != "given") & (pl.col("source") != "serve")).height
    possible = (
        (
            users < FEW_USERS,
            Advice(
                f"{users:,} users",
                f"personas are hard to tell apart below about {FEW_USERS} users",
                "ingest more users, or name the user of each conversation (field `user`)",
            ),
        ),
        (
            said.height < FEW_TURNS * max(users, 1),
            Advice(
                f"{said.height / max(users, 1):.1f} messages a user",
                "most users stay near the average persona until they have written more",
                f"ingest longer histories: {FEW_TURNS} and more messages a user",
            ),
        ),
        (
            not feedback.height,
            Advice(
                "no ratings or other feedback",
                "rewards come from how people write in their next message, and from nothing else",
                "ingest ratings with the chats, or send POST /v1/feedback while serving",
            ),
        ),
        (
            untimed > 0,
            Advice(
                f"{untimed:,} of {turns.height:,} turns without a time of their own",
                "pauses, delays and the age of what was said are unknown for them",
                "map the column that holds the time (`ts`) in the mapping file",
            ),
        ),
        (
            not logged,
            Advice(
                "no decision with a logged propensity",
                "a new policy cannot be judged from this log, only learned from it with caution",
                "serve with Rapport, which logs exact propensities, or ingest decisions-parquet",
            ),
        ),
        (
            quarantined > 0,
            Advice(
                f"{quarantined:,} rows in quarantine",
                "they were left out",
                'rapport sql "select reason, count(*) from quarantine group by 1"',
            ),
        ),
    )
    return [advice for holds, advice in possible if holds]


def _span(turns: pl.DataFrame) -> str:
    if not turns.height:
        return "The log holds no turns that may be read for analytics."
    first, last = turns["ts"].min(), turns["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return (
        f"{turns.height:,} turns of {turns['user_id'].n_unique():,} users in "
        f"{turns['conversation_id'].n_unique():,} conversations, {first:%Y-%m-%d} to "
        f"{last:%Y-%m-%d}; only rows whose users agreed to analytics are counted."
    )


def _sizes(facts: Facts, turns: pl.DataFrame) -> Table:
    decisions = facts.events("decisions", "mode", "delivered", "source")
    said = turns.filter(pl.col("kind") == "message")
    rows: list[tuple[str, int]] = [
        ("messages of users", said.filter(pl.col("role") == "user").height),
        ("replies", said.filter(pl.col("role") == "assistant").height),
        ("other events", turns.height - said.height),
        ("decisions", decisions.height),
        *((f"decisions, mode {mode}", n) for mode, n in counted(decisions["mode"]).items()),
        *((f"decisions from {name}", n) for name, n in counted(decisions["source"]).items()),
    ]
    if facts.data is not None:
        answered = int(np.sum(facts.data.reported))
        rows.append(("decisions that something came back for", answered))
    return Table("Rows", ("what", "rows"), rows)


def _metrics(facts: Facts) -> list[Table]:
    feedback = facts.events("feedback", "metric_name", "value", "user_id")
    if not feedback.height:
        return []
    found = (
        feedback.group_by("metric_name")
        .agg(pl.len().alias("n"), pl.col("user_id").n_unique(), pl.col("value").mean())
        .sort("n", descending=True)
    )
    rows = [
        (name, n, users, None if mean is None else round(mean, 3))
        for name, n, users, mean in found.iter_rows()
    ]
    return [Table("Feedback", ("metric", "n", "users", "mean value"), rows)]
