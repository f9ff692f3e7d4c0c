"""Conversations and journeys: where every user stands, and how the next errand begins."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.minds import Minds, opening_mood
from rapport.simulation.phrases import phrasebook
from rapport.simulation.settings import AGENT_SHARES, SimulationConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SAME_JOURNEY = 0.4
"""Chance that a new conversation goes on with the errand of the last one."""
OWN_TOPIC = 0.7
"""Share of journeys on the topic a user mostly writes about."""
REMEMBERED = 2
"""Earlier replies of a conversation that a repetition is noticed against."""


@dataclass
class Now:
    """Where N users stand between two exchanges.

    `mood`, `agent`, `topic`, `conversation`, `journey` and `exchange` are [N]; `effect` [N] is
    what the last reply did, -1 before the first; `recent` [N, H] are the last replies of the
    conversation, -1 for none; `open` [N] is false for who begins a new conversation next.
    """

    mood: FloatArray
    agent: IntArray
    topic: IntArray
    effect: IntArray
    recent: IntArray
    open: NDArray[np.bool_] = field(init=False)
    conversation: IntArray = field(init=False)
    journey: IntArray = field(init=False)
    exchange: IntArray = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.mood)
        self.open = np.zeros(count, dtype=np.bool_)
        self.conversation, self.journey = np.full((2, count), -1, dtype=np.int64)
        self.exchange = np.zeros(count, dtype=np.int64)


def beginning(minds: Minds) -> Now:
    """Everyone before the first conversation."""
    count = len(minds)
    return Now(
        mood=minds.home.copy(),
        agent=np.zeros(count, dtype=np.int64),
        topic=minds.topic.copy(),
        effect=np.full(count, -1, dtype=np.int64),
        recent=np.full((count, REMEMBERED), -1, dtype=np.int64),
    )


def open_conversations(
    minds: Minds, now: Now, *, config: SimulationConfig, rng: np.random.Generator
) -> None:
    """Start a conversation for everyone without one, on the old errand or on a new one."""
    fresh = ~now.open
    errand = fresh & ((now.journey < 0) | (rng.random(len(minds)) >= SAME_JOURNEY))
    now.conversation += fresh
    now.journey += errand
    now.exchange[fresh] = 0
    now.effect[fresh] = -1
    now.recent[fresh] = -1
    now.mood = np.where(fresh, opening_mood(minds.home, rng=rng), now.mood)
    # Drawn for everyone, so that the stream of numbers does not depend on who begins.
    now.agent = np.where(errand, draw_agents(config, count=len(minds), rng=rng), now.agent)
    now.topic = np.where(errand, draw_topics(minds, rng=rng), now.topic)


def draw_agents(config: SimulationConfig, *, count: int, rng: np.random.Generator) -> IntArray:
    """Agent [N] of new journeys, as an index into `config.agents`."""
    shares = np.array([AGENT_SHARES[agent_id] for agent_id in config.agents])
    return rng.choice(len(shares), count, p=shares / shares.sum()).astype(np.int64)


def draw_topics(minds: Minds, *, rng: np.random.Generator) -> IntArray:
    """Topic [N] of new journeys: mostly the user's own, else any."""
    other = rng.integers(0, len(phrasebook().topics), len(minds))
    return np.where(rng.random(len(minds)) < OWN_TOPIC, minds.topic, other)


def together(now: Now, *, config: SimulationConfig) -> Iterator[tuple[IntArray, str, str]]:
    """Rows of users who talk with the same agent about the same topic, agent id and topic."""
    for agent, agent_id in enumerate(config.agents):
        for index, topic in enumerate(phrasebook().topics):
            rows = np.flatnonzero((now.agent == agent) & (now.topic == index))
            if len(rows):
                yield rows, agent_id, topic
