"""A simulated user who holds a conversation with whatever answers: the log's minds, live."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.schema import content_id
from rapport.simulation.conversations import REMEMBERED, SAME_JOURNEY, draw_agents, draw_topics
from rapport.simulation.exchanges import user_id
from rapport.simulation.language import compose, draw_wording
from rapport.simulation.lexicon import Reading, overlap, read
from rapport.simulation.logs import SimulatedLog
from rapport.simulation.minds import (
    Minds,
    appeal,
    draw_minds,
    draw_world,
    next_mood,
    opening_mood,
    population,
    repetition_cost,
    satisfaction,
    shown_mood,
    topic_names,
)
from rapport.simulation.reactions import Heard, Reactions, clickable, respond
from rapport.simulation.settings import PART_USERS, SimulationConfig


@dataclass(frozen=True)
class Reaction:
    """What a user did after a reply; what is none was not reported."""

    message: str | None
    """The next message; none once the conversation is over."""
    rating: float | None
    dwell_s: float | None
    task_success: float | None
    left: bool
    """The conversation is over; `first_message` starts the next one."""
    mood: float
    """Hidden: mood in [-1, 1] after the reply."""
    satisfaction: float
    """Hidden: what the reply was worth to this user, the true reward in (-1, 1)."""
    silent: bool
    """The user left unhappy, with no word and no rating."""
    clicked: bool
    stepped: bool


class SimulatedUser:
    """One hidden mind in conversation. Seeded: the same replies always get the same reactions.

    Not thread-safe; one user talks to one agent at a time. About 1 ms a reaction.
    """

    def __init__(
        self,
        persona: int,
        seed: int,
        *,
        config: SimulationConfig | None = None,
        mind: tuple[str, Minds, float] | None = None,
    ) -> None:
        """Make a new user of the world of `config.seed`.

        Args:
            persona: In 0 .. `config.personas` - 1.
            seed: Tells this user from others of the same world.
            config: The world; personas like what they like in that seed's logs only.
            mind: Name, mind and mood of a user who exists already, see `of_log`.
        """
        self._config = config or SimulationConfig()
        self._rng = np.random.default_rng([self._config.seed, 5, seed])
        if mind is None:
            name = f"sim-{self._config.run_id[:8]}-new-{persona}-{seed}"
            mind = (name, _new_mind(persona, config=self._config, rng=self._rng), 0.0)
        self.user_id, self._mind, self.mood = mind
        self.persona = persona
        # No errand yet: `first_message` begins the first.
        self._journeys = -1
        self._agent = self._topic = self._effect = np.full(1, -1, dtype=np.int64)
        self._heard: list[Reading] = []

    @classmethod
    def of_log(cls, log: SimulatedLog, index: int, *, seed: int = 0) -> "SimulatedUser":
        """User number `index` of a log, who goes on where the log ended."""
        part = log.config.parts[index // PART_USERS]
        mind = population(part)[np.array([index % PART_USERS])]
        mood = float(log.truth["mood"][index])
        known = (user_id(part, index=index % PART_USERS), mind, mood)
        persona = int(mind.persona[0])
        return cls(persona, log.config.users * (seed + 1) + index, config=log.config, mind=known)

    @classmethod
    def several(
        cls, count: int, *, seed: int, config: SimulationConfig | None = None
    ) -> list["SimulatedUser"]:
        """New users, personas in turn."""
        settings = config or SimulationConfig()
        return [
            cls(index % settings.personas, seed * 100_003 + index, config=settings)
            for index in range(count)
        ]

    @property
    def agent_id(self) -> str:
        """Agent the running journey goes to."""
        return self._config.agents[int(self._agent[0])]

    @property
    def journey_id(self) -> str:
        """Errand of the running conversation."""
        return content_id(self._config.run_id, "live journey", self.user_id, self._journeys)

    @property
    def topic(self) -> str:
        """Hidden: what the running journey is about."""
        return topic_names(self._topic.tolist())[0]

    def first_message(self) -> str:
        """Open a conversation, the first of a journey or a further one."""
        if self._journeys < 0 or self._rng.random() >= SAME_JOURNEY:
            self._journeys += 1
            self._agent = draw_agents(self._config, count=1, rng=self._rng)
            self._topic = draw_topics(self._mind, rng=self._rng)
        self._heard = []
        self._effect = np.full(1, -1, dtype=np.int64)
        self.mood = float(opening_mood(self._mind.home, rng=self._rng)[0])
        return self._message()

    def expected_reward(self, reply_text: str) -> float:
        """Hidden: what a reply would be worth now, in (-1, 1). Changes nothing."""
        return float(self._felt(read([reply_text]))[0])

    def react(self, reply_text: str) -> Reaction:
        """Take in a reply, by its words alone, and do what this user does.

        The reply moves the mood, and what the user writes next shows it. An angry user may leave
        in silence; so may, with thanks or an outcome, one whose errand is done.
        """
        reading = read([reply_text])
        felt = self._felt(reading)
        mood = next_mood(np.array([self.mood]), home=self._mind.home, felt=felt, rng=self._rng)
        heard = Heard(felt, clickable(reading.marks), reading.length)
        support = np.array([self.agent_id == "emotional_support"])
        done = respond(self._mind, mood, heard, support=support, rng=self._rng)
        self.mood, self._effect = float(mood[0]), done.effect
        self._heard = [reading, *self._heard][:REMEMBERED]
        over = bool(done.ended[0])
        return self._reported(done, float(felt[0]), message=None if over else self._message())

    def _message(self) -> str:
        shown = shown_mood(np.array([self.mood]), rng=self._rng)
        wording = draw_wording(self._mind.weights, mood=shown, effect=self._effect, rng=self._rng)
        return compose(wording, topics=[self.topic], agents=[self.agent_id])[0]

    def _felt(self, reading: Reading) -> NDArray[np.float64]:
        words = reading.vocabulary[0]
        shared = max((overlap(words, past.vocabulary[0]) for past in self._heard), default=0.0)
        liking = self._mind.liking(np.array([self.mood]))
        appealing = appeal(liking, reading, repeated=repetition_cost(np.array(shared)))
        return satisfaction(appealing[:, 0], kindred=reading.manners[:, self.persona + 1])

    def _reported(self, done: Reactions, felt: float, *, message: str | None) -> Reaction:
        return Reaction(
            message=message,
            rating=_or_none(done.rating),
            dwell_s=_or_none(done.dwell_s),
            task_success=_or_none(done.task_success),
            left=message is None,
            mood=self.mood,
            satisfaction=felt,
            silent=bool(done.left_silently[0]),
            clicked=bool(done.clicked[0]),
            stepped=bool(done.stepped[0]),
        )


def live_users(log: SimulatedLog, indexes: Sequence[int], *, seed: int = 0) -> list[SimulatedUser]:
    """Users of a log who come back, by their index in `log.users`."""
    return [SimulatedUser.of_log(log, index, seed=seed) for index in indexes]


def _new_mind(persona: int, *, config: SimulationConfig, rng: np.random.Generator) -> Minds:
    return draw_minds(
        draw_world(config), np.array([persona], dtype=np.int64), config=config, rng=rng
    )


def _or_none(value: NDArray[np.float64]) -> float | None:
    return None if np.isnan(value[0]) else float(value[0])
