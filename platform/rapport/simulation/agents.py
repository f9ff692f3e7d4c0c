"""The agents whose logs are simulated: their replies by arm, and their stated logging policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.arms import load_menu
from rapport.simulation.lexicon import Reading, read
from rapport.simulation.minds import repetition
from rapport.simulation.phrases import contents, load

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOGGING_POLICY: Mapping[str, tuple[float, float, float]] = {
    "question": (0.6, 0.1, -0.9),
    "restatement": (0.2, -0.2, -0.2),
    "reflection": (0.3, -0.5, 0.0),
    "affirmation": (0.0, 0.2, 0.3),
    "suggestion": (0.1, 0.4, 0.7),
    "information": (0.0, 0.3, 0.4),
    "normalising": (0.0, -0.4, 0.2),
    "clarify": (0.1, 0.0, -0.6),
    "apology": (0.3, -0.5, -0.2),
    "escalation": (-0.4, -0.4, 0.6),
}
"""Logit of an arm: constant, times the mood the words show (-1, 0, 1), times the exchanges / 4."""
POLICY_ID, POLICY_VERSION = "logging", "1"
ECHOED = 0.4
"""Share of replies that open with an echo of the manner the message opened in."""
CONTROL = -1
"""Arm index of the plain reply that control users get."""


@dataclass(frozen=True)
class Replies:
    """All replies an agent can give on a topic, R of them, and how people read them.

    `arm` [R] indexes the served menu, `CONTROL` for the plain ones; `share` [A, R] averages a
    value of replies into one of arms; `plain` [R] does it for the control's; `repeated` [R, R].
    """

    texts: tuple[str, ...]
    arm: IntArray
    reading: Reading
    share: FloatArray
    plain: FloatArray
    repeated: FloatArray


@cache
def served_arms(agent_id: str) -> tuple[str, ...]:
    """Arms of an agent's decisions, in menu order."""
    return tuple(arm.name for arm in load_menu(agent_id).served)


@cache
def replies(agent_id: str, topic: str) -> Replies:
    """The replies of one agent on one topic, at least 12 an arm."""
    names, subjects = served_arms(agent_id), contents(topic, agent_id)["subjects"]
    pairs = [
        (arm, template.replace("{subject}", subject))
        for arm, name in (*enumerate(names), (CONTROL, "control"))
        for template in load("replies.yaml")[agent_id][name]
        for subject in subjects
    ]
    arm = np.array([index for index, _ in pairs], dtype=np.int64)
    of_arm = (arm == np.arange(len(names))[:, None]).astype(np.float64)
    plain = (arm == CONTROL).astype(np.float64)
    reading = read([text for _, text in pairs])
    return Replies(
        texts=tuple(text for _, text in pairs),
        arm=arm,
        reading=reading,
        share=of_arm / of_arm.sum(axis=1, keepdims=True),
        plain=plain / plain.sum(),
        repeated=repetition(reading),
    )


def logging_probabilities(
    agent_id: str, *, mood: IntArray, exchange: IntArray, floor: float
) -> FloatArray:
    """Probability of each served arm [N, A] by what the agent can see; rows sum to 1.

    `(1 - floor) * softmax(logits) + floor / k`.

    Args:
        agent_id: Whose menu.
        mood: [N] in {-1, 0, 1}, the mood that the words of the message show.
        exchange: [N] exchanges before this one in the conversation.
        floor: Epsilon in (0, 1].
    """
    logits = np.array([LOGGING_POLICY[name] for name in served_arms(agent_id)])
    seen = np.stack([np.ones(len(mood)), mood, np.minimum(exchange, 4) / 4.0], axis=1)
    weight = np.exp(seen @ logits.T)
    soft = weight / weight.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - floor) * soft + floor / soft.shape[1])


def draw(probabilities: FloatArray, *, rng: np.random.Generator) -> IntArray:
    """Draw one column [N] of each row.

    Args:
        probabilities: [N, A], each row proportional to the probabilities of its columns.
        rng: One uniform number is drawn for each row, by inversion of the cumulative sum.
    """
    # Scaled by the sum: rows need to be proportional to probabilities only.
    point = rng.random((len(probabilities), 1)) * probabilities.sum(axis=1, keepdims=True)
    return np.asarray((point >= probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1), dtype=np.int64)


def stated_policy(floor: float) -> dict[str, Any]:
    """The logging policy in words and numbers, as `log.json` carries it."""
    return {
        "policy_id": POLICY_ID,
        "policy_version": POLICY_VERSION,
        "formula": "(1 - floor) * softmax(a + b * seen_mood + c * min(exchange, 4) / 4)"
        " + floor / k",
        "floor": floor,
        "coefficients": {arm: list(values) for arm, values in LOGGING_POLICY.items()},
        "echo": ECHOED,
        "control": "one plain reply, probability 1",
    }
