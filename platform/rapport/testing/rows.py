"""Builders of valid rows: each gives a plausible row of its table, every column a keyword."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rapport.schema import PURPOSES, content_id, to_table

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
USER = "0" * 32
ALL = tuple(purpose for purpose in PURPOSES if purpose != "proactive")

_EVENT: Mapping[str, Any] = {
    "tenant": "default",
    "ts": START,
    "ts_source": "given",
    "user_id": USER,
    "agent_id": "emotional_support",
    "purposes": ALL,
    "groups": {},
    "source": "simulation",
}


def a_turn(**columns: Any) -> dict[str, Any]:  # noqa: ANN401  (a value of any column)
    """A row of `turns`: a user's message, one minute after the start per `turn_index`.

    Odd indexes are the assistant's; `turn_id` follows from conversation and index.

    Raises:
        RowError: A keyword is not a column, or its value does not fit.
    """
    conversation = columns.get("conversation_id", "conversation-0")
    index = int(columns.get("turn_index", 0))
    row = {
        **_EVENT,
        "ts": START + dt.timedelta(minutes=index),
        "conversation_id": conversation,
        "turn_id": content_id("turn", conversation, index),
        "turn_index": index,
        "role": "assistant" if index % 2 else "user",
        "kind": "message",
        "text": "I have been worried about work all week.",
    }
    return _valid("turns", row, columns)


def a_decision(
    *,
    arms: Sequence[str] = ("question", "reflection"),
    probabilities: Sequence[float] | None = None,
    **columns: Any,  # noqa: ANN401  (a value of any column)
) -> dict[str, Any]:
    """A row of `decisions`: mode `arm_first` over `arms`, the reply of turn 1, delivered in full.

    Args:
        arms: The candidates' arms, in order; only the taken one has text.
        probabilities: One for each arm, default uniform; `propensity` is the taken one's.
        **columns: Columns to set, `action_index` among them.

    Raises:
        RowError: A keyword is not a column, or its value does not fit.
    """
    episode, index = columns.get("episode_id", "conversation-0"), columns.get("turn_index", 1)
    taken = int(columns.get("action_index", 0))
    shares = list(probabilities or [1 / len(arms)] * len(arms))
    candidates = [
        {
            "candidate_id": content_id("candidate", episode, index, arm),
            "arm": arm,
            "text": "What has been weighing on you the most?" if i == taken else None,
            "origin": "log",
            "probability": share,
        }
        for i, (arm, share) in enumerate(zip(arms, shares, strict=True))
    ]
    row = {
        **_EVENT,
        "ts": START + dt.timedelta(minutes=int(index)),
        "decision_id": content_id("decision", episode, index),
        "inference_id": content_id("inference", episode, index),
        "episode_id": episode,
        "turn_index": index,
        "mode": "arm_first",
        "delivered": "full",
        "candidates": candidates,
        "action_index": taken,
        "propensity": shares[taken],
        "propensity_source": "simulated",
        "explored": False,
    }
    return _valid("decisions", row, columns)


def some_feedback(**columns: Any) -> dict[str, Any]:  # noqa: ANN401  (a value of any column)
    """A row of `feedback`: a rating of 4 on the decision that `a_decision()` builds.

    Raises:
        RowError: A keyword is not a column, or its value does not fit.
    """
    decision = columns.get("decision_id", content_id("decision", "conversation-0", 1))
    metric = columns.get("metric_name", "rating")
    row = {
        **_EVENT,
        "ts": START + dt.timedelta(minutes=2),
        "feedback_id": content_id("feedback", decision, metric),
        "decision_id": decision,
        "episode_id": "conversation-0",
        "metric_name": metric,
        "value": 4.0,
    }
    return _valid("feedback", row, columns)


def _valid(table: str, row: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**row, **columns}
    to_table(table, [whole])
    return {**whole, "purposes": list(whole["purposes"]), "groups": dict(whole["groups"])}
