"""What the policy knew when it decided, kept with the decision so that it can be explained.

The state of a user who agreed to `infer_affect` lies in the decision's `features`, what a text
shows in its candidate's: numbers, no words. They are enough to give every expected reward again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rapport.arms import load_menu
from rapport.policy.features import (
    EMOTION_GROUPS,
    NO_ARM,
    Float32Array,
    Layout,
    Situation,
)

SENTIMENT, CURVE, EVIDENCE = "sentiment", "curve", "evidence"
_PERSONA, _EMOTION, _ARM_BEFORE = "persona:", "emotion:", "previous_arm:"


def to_features(layout: Layout, situation: Situation) -> dict[str, float]:
    """One row of a situation as features of a decision; its message vector is left out.

    `persona:<name>` [0, 1], `evidence` (turns), `sentiment` and `curve` [-1, 1],
    `emotion:<group>` [0, 1], and `previous_arm:<name>` = 1 where a reply went before.
    """
    told = {
        SENTIMENT: float(situation.sentiment[0]),
        CURVE: float(situation.curve[0]),
        EVIDENCE: float(situation.n_eff[0]),
    }
    shares = zip(layout.personas, situation.posterior[0].tolist(), strict=True)
    told |= {f"{_PERSONA}{name}": share for name, share in shares}
    moods = zip(EMOTION_GROUPS, situation.emotion[0].tolist(), strict=True)
    told |= {f"{_EMOTION}{name}": share for name, share in moods}
    before = int(situation.previous_arm[0])
    return told if before == NO_ARM else {**told, f"{_ARM_BEFORE}{layout.arms[before]}": 1.0}


def from_features(layout: Layout, row: Mapping[str, Any]) -> Situation | None:
    """The situation of a decision; none where its row does not hold it.

    The message vector is empty, [1, 0].

    Args:
        layout: Of the policy that decided.
        row: Of the table `decisions`.
    """
    told = dict(row["features"] or {})
    posterior = np.array([told.get(f"{_PERSONA}{name}", np.nan) for name in layout.personas])
    whole = {SENTIMENT, CURVE, EVIDENCE} <= told.keys() and bool(np.isfinite(posterior).all())
    if not whole or row["agent_id"] not in layout.agents:
        return None
    before = [name for name in told if name.startswith(_ARM_BEFORE)]
    return Situation(
        posterior=posterior[None],
        n_eff=np.array([told[EVIDENCE]]),
        sentiment=np.array([told[SENTIMENT]]),
        curve=np.array([told[CURVE]]),
        emotion=np.array([[told.get(f"{_EMOTION}{name}", 0.0) for name in EMOTION_GROUPS]]),
        turn_index=np.array([row["turn_index"]]),
        agent=layout.agent_index([row["agent_id"]]),
        previous_arm=layout.arm_index([before[0].removeprefix(_ARM_BEFORE) if before else None]),
        message=np.zeros((1, 0), dtype=np.float32),
    )


def personas_in(row: Mapping[str, Any]) -> dict[str, float]:
    """Probability of each persona as a decision's row holds them; empty where it does not."""
    return {
        name.removeprefix(_PERSONA): share
        for name, share in dict(row["features"] or {}).items()
        if name.startswith(_PERSONA)
    }


def shares_to_features(layout: Layout, share: Any) -> dict[str, float]:  # noqa: ANN401  any [A]
    """Arms that a text shows as features of its candidate: share by arm, zeros left out."""
    return {name: float(part) for name, part in zip(layout.arms, share, strict=True) if part > 0}


def shares_from_features(
    layout: Layout, agent_id: str, candidate: Mapping[str, Any]
) -> Float32Array:
    """[A] arms that a candidate was weighed as: its shares, else all served arms evenly."""
    told = dict(candidate["features"] or {})
    share = np.array([max(told.get(name, 0.0), 0.0) for name in layout.arms])
    if not share.sum() > 0:
        served = [arm.name for arm in load_menu(agent_id).served]
        share = np.zeros(len(layout.arms))
        share[layout.arm_index(served)] = 1.0
    return np.asarray(share / share.sum(), dtype=np.float32)
