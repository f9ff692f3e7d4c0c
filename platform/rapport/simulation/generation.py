"""The run of a simulated log: every user's turns, one step for all users at once."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.answers import answer
from rapport.simulation.conversations import Now, beginning, open_conversations
from rapport.simulation.language import compose, draw_wording
from rapport.simulation.minds import Minds, next_mood, population, shown_mood, topic_names
from rapport.simulation.reactions import respond
from rapport.simulation.settings import SimulationConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """One exchange of N users in columns, all steps stacked in [T, N]; see also `Answers`."""

    conversation: IntArray
    """Running number of the conversation, per user."""
    journey: IntArray
    exchange: IntArray
    """0-based inside the conversation."""
    agent: IntArray
    topic: IntArray
    text: NDArray[np.object_]
    reply: NDArray[np.object_]
    arm: IntArray
    probabilities: FloatArray
    expected: FloatArray
    expected_plain: FloatArray
    felt: FloatArray
    mood: FloatArray
    seen_mood: IntArray
    rating: FloatArray
    dwell_s: FloatArray
    task_success: FloatArray
    clicked: NDArray[np.bool_]
    stepped: NDArray[np.bool_]
    left_silently: NDArray[np.bool_]
    pause_s: FloatArray


def run(config: SimulationConfig) -> tuple[Minds, Step, FloatArray]:
    """Run a log: its minds, its exchanges stacked to [T, N, ...], and the moods [N] at the end."""
    minds, rng = population(config), np.random.default_rng(config.seeds(3))
    now = beginning(minds)
    steps = [_exchange(minds, now, config=config, rng=rng) for _ in range(config.turns)]
    stacked = {f.name: np.stack([getattr(step, f.name) for step in steps]) for f in fields(Step)}
    return minds, Step(**stacked), now.mood


def _exchange(
    minds: Minds, now: Now, *, config: SimulationConfig, rng: np.random.Generator
) -> Step:
    open_conversations(minds, now, config=config, rng=rng)
    mood = now.mood
    shown = shown_mood(mood, rng=rng)
    wording = draw_wording(minds.weights, mood=shown, effect=now.effect, rng=rng)
    agent_ids = [config.agents[index] for index in now.agent]
    answers = answer(minds, now, wording, config=config, rng=rng)
    now.mood = next_mood(mood, home=minds.home, felt=answers.heard.felt, rng=rng)
    support = np.array([agent_id == "emotional_support" for agent_id in agent_ids])
    reactions = respond(minds, now.mood, answers.heard, support=support, rng=rng)
    texts = compose(wording, topics=topic_names(now.topic), agents=agent_ids)
    step = Step(
        conversation=now.conversation.copy(),
        journey=now.journey.copy(),
        exchange=now.exchange.copy(),
        agent=now.agent.copy(),
        topic=now.topic.copy(),
        text=np.array(texts, dtype=np.object_),
        felt=answers.heard.felt,
        mood=mood,
        seen_mood=shown - 1,
        **{name: getattr(answers, name) for name in _ANSWERED},
        **{name: getattr(reactions, name) for name in _OBSERVED},
    )
    now.effect = reactions.effect
    now.exchange += 1
    now.open = ~reactions.ended
    return step


_ANSWERED = ("reply", "arm", "probabilities", "expected", "expected_plain")
_OBSERVED = (
    "rating", "dwell_s", "task_success", "clicked", "stepped", "left_silently", "pause_s",
)  # fmt: skip
