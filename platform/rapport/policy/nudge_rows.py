"""A nudge as a decision's row, and back: task, deadline, urgency and kind.

It is a row like every decision's, with all arms, their exact probabilities and the seed of the
draw, so feedback, rewards, explanation and erasure find it as they find any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from rapport.policy.behaviour import draw
from rapport.policy.features import FloatArray
from rapport.policy.nudging import ARMS, FEATURES, NOT_NOW
from rapport.schema import content_id, new_id

POLICY = "nudges-"
"""How the `policy_id` of every decision about a nudge begins."""
_DUE = "due"
_BETWEEN = ":"


@dataclass(frozen=True)
class Nudge:
    """What was decided about a task."""

    decision_id: str
    task_id: str
    kind: str
    """`not_now`, or how to speak: suggestion, resource or reminder."""
    text: str | None
    due: datetime
    urgency: float
    at: datetime

    @property
    def speaks(self) -> bool:
        """Whether something is to be said."""
        return self.kind != NOT_NOW


def nudge_row(
    task: Mapping[str, Any],
    *,
    now: datetime,
    rec: FloatArray,
    probability: FloatArray,
    seed: int,
    policy_id: str,
) -> dict[str, Any]:
    """Draw among the arms and build the row of the decision.

    Args:
        task: A row of `rapport.pipeline.nudge_tasks.open_tasks`.
        now: When.
        rec: [A] what each arm should earn, in (0, 1].
        probability: [A] the very numbers to draw from.
        seed: Of the draw.
        policy_id: Of the policy.
    """
    decision_id, taken = new_id(), draw(probability, seed)
    carried = ("tenant", "user_id", "agent_id", "journey_id", "purposes")
    return {
        **{name: task[name] for name in carried},
        "groups": dict(task["groups"] or ()),
        "ts": now,
        "ts_source": "received",
        "source": "serve",
        "decision_id": decision_id,
        "inference_id": decision_id,
        "episode_id": content_id(task["tenant"], task["user_id"], "task", task["task_id"]),
        "turn_index": 0,
        "features": {
            **{name: float(task[name]) for name in FEATURES},
            _DUE: task["due"].timestamp(),
        },
        "mode": "rank",
        "delivered": "full",
        "candidates": [
            {
                "candidate_id": f"{arm}{_BETWEEN}{task['task_id']}",
                "arm": arm,
                "text": _text(arm, seed),
                "origin": "library",
                "nlp_score": 1.0,
                "rec_score": float(rec[place]),
                "probability": float(probability[place]),
                "features": {},
            }
            for place, arm in enumerate(ARMS)
        ],
        "action_index": taken,
        "propensity": float(probability[taken]),
        "propensity_source": "logged",
        "explored": bool(taken != int(np.argmax(probability))),
        "policy_id": policy_id,
        "rng_seed": seed,
    }


def nudge_in(row: Mapping[str, Any]) -> Nudge | None:
    """What a decision's row says of a nudge; none where it is about something else."""
    if not (row["policy_id"] or "").startswith(POLICY):
        return None
    taken, told = row["candidates"][row["action_index"]], dict(row["features"])
    return Nudge(
        decision_id=row["decision_id"],
        task_id=taken["candidate_id"].partition(_BETWEEN)[2],
        kind=taken["arm"],
        text=taken["text"],
        due=datetime.fromtimestamp(told[_DUE], UTC),
        urgency=told["urgency"],
        at=row["ts"],
    )


@cache
def library() -> Mapping[str, Sequence[str]]:
    """Approved texts by kind."""
    text = (resources.files("rapport.policy") / "nudges.yaml").read_text(encoding="utf-8")
    return {str(kind): tuple(said) for kind, said in yaml.safe_load(text).items()}


def _text(arm: str, seed: int) -> str | None:
    said = library().get(arm)
    return said[seed % len(said)] if said else None
