"""Small logs for tests of rewards: one conversation a list of texts, user and assistant in turn."""

import datetime as dt

import polars as pl

from rapport.schema import SCHEMAS, to_table
from rapport.testing import a_decision, a_turn, some_feedback

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def frame(table, rows):
    return pl.DataFrame(to_table(table, rows) if rows else SCHEMAS[table].empty_table())


def conversation(*texts, name="conversation-0", facets=None, decisions=None):
    """Turns, and one decision for each reply (or those at the given indexes only)."""
    facets = facets or {}
    turns = [
        a_turn(conversation_id=name, turn_index=i, text=text, facet=facets.get(i))
        for i, text in enumerate(texts)
    ]
    places = [i for i in range(1, len(texts), 2)] if decisions is None else decisions
    return turns, [a_decision(episode_id=name, turn_index=i) for i in places]


def scores(turns, by_index):
    """Sentiment of the user's turns at these indexes."""
    rows = [
        {"turn_id": turn["turn_id"], "sentiment": by_index[turn["turn_index"]]}
        for turn in turns
        if turn["turn_index"] in by_index
    ]
    return pl.DataFrame(rows, schema={"turn_id": pl.String, "sentiment": pl.Float64})


def report(decision, metric, value, *, minutes=2, **columns):
    """Feedback on a decision."""
    ts = decision["ts"] + dt.timedelta(minutes=minutes)
    identity = f"{decision['decision_id']}-{metric}-{minutes}"
    return some_feedback(
        **{
            "decision_id": decision["decision_id"],
            "episode_id": decision["episode_id"],
            "feedback_id": identity,
            "metric_name": metric,
            "value": value,
            "ts": ts,
            **columns,
        }
    )
