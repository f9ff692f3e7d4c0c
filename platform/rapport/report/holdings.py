"""What the log holds and lacks, with the advice a colleague would give."""

from datetime import datetime

import numpy as np
import polars as pl

from rapport.report.advice import advise
from rapport.report.blocks import Section, Table
from rapport.report.facts import Facts
from rapport.report.outcomes import counted


def hold(facts: Facts) -> Section:
    """The section."""
    turns = facts.events("turns", "user_id", "conversation_id", "role", "kind", "ts", "ts_source")
    found = advise(facts)
    blocks = [_sizes(facts, turns), *_metrics(facts)]
    if found:
        rows = [(one.finding, one.follows, one.remedy) for one in found]
        blocks.append(Table("Advice", ("found", "what follows", "what to do"), rows))
    return Section("What the log holds and lacks", [_span(turns)], blocks)


def _span(turns: pl.DataFrame) -> str:
    if not turns.height:
        return "The log holds no turns that may be read for analytics."
    timed = turns.filter(pl.col("ts_source") != "estimated")["ts"]
    first, last = timed.min(), timed.max()
    when = "undated"
    if isinstance(first, datetime) and isinstance(last, datetime):
        when = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return (
        f"{turns.height:,} turns of {turns['user_id'].n_unique():,} users in "
        f"{turns['conversation_id'].n_unique():,} conversations, {when}; only rows whose users "
        "agreed to analytics are counted."
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
