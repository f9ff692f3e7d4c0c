"""A labelled reply as a row of the decisions table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rapport.ingest.behaviour import FloatArray
from rapport.schema import content_id

POLICY_ID = "logged-replies"
"""Policy of decisions that `label_arms` made."""
_KEPT = (
    "tenant", "ts", "ts_source", "user_id", "agent_id", "journey_id", "purposes", "source",
    "turn_index",
)  # fmt: skip


def decision_row(
    reply: Mapping[str, Any],
    names: Sequence[str],
    taken: int,
    probabilities: FloatArray,
    confidence: float,
) -> dict[str, Any]:
    """Build a decision over A arms out of a logged reply.

    Args:
        reply: The reply's row of `turns`.
        names: A arms, the menu's served ones first.
        taken: Place of the reply's arm.
        probabilities: [A] estimated propensities; they sum to 1.
        confidence: How sure the arm is, 1 where the log named it; kept among the features.
    """
    decision_id = content_id(reply["turn_id"], "label_arms")
    shares = probabilities.tolist()
    return {
        **{name: reply[name] for name in _KEPT},
        "groups": dict(reply["groups"]),
        "decision_id": decision_id,
        "inference_id": content_id(decision_id, "inference"),
        "episode_id": reply["conversation_id"],
        "features": {"label_confidence": float(confidence)},
        "mode": "arm_first",
        "delivered": "full",
        "candidates": [
            {
                "candidate_id": content_id(decision_id, name),
                "arm": name,
                "text": reply["text"] if place == taken else None,
                "origin": "log",
                "probability": shares[place],
            }
            for place, name in enumerate(names)
        ],
        "action_index": taken,
        "propensity": shares[taken],
        "propensity_source": "estimated",
        "explored": False,
        "policy_id": POLICY_ID,
    }
