"""Hidden minds: what each persona and user likes to hear, and how a reply moves the mood."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.language import manner_weights
from rapport.simulation.lexicon import MARKS, Reading, overlap
from rapport.simulation.phrases import phrasebook
from rapport.simulation.settings import SimulationConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HABITS = ("rates", "rating_bias", "dwell", "gap")
"""Ways of a persona beside its words, each weak: rating often or kindly, reading, returning."""
_INDIVIDUAL = 0.10
_HABIT_SPREAD = 0.25
_MOOD_TASTE_SPREAD = 0.08
_WELCOME = 0.08
"""Liking of an average kind of reply: to be answered at all is a little better than nothing."""
_UNMARKED = -0.03
_KINDRED = 0.06
"""What it is worth to be answered in one's own manner."""
_NEEDS = {"reflection": -0.12, "normalising": -0.06, "suggestion": 0.12, "information": 0.06}
"""Change of liking for a mood of +1: who is low wants to be heard, who is better wants a step."""
_MOOD_PULL, _MOOD_HOME, _MOOD_NOISE = 0.5, 0.2, 0.10
_HOME_SPREAD = 0.08
_REPEAT_FROM, _REPEAT_COST = 0.45, 0.9


@dataclass(frozen=True)
class World:
    """What all users of one seed share: `taste` [K, M], `mood_taste` [K, M], `habits` [K, H]."""

    taste: FloatArray
    mood_taste: FloatArray
    habits: FloatArray


@dataclass(frozen=True)
class Minds:
    """N hidden minds, one row each; they do not change, moods do and are kept apart."""

    persona: IntArray
    topic: IntArray
    """Index of the topic each user mostly writes about."""
    weights: FloatArray
    """Manner weights [N, slots, 1 + K]."""
    taste: FloatArray
    """Liking of each kind of reply [N, M] at an even mood."""
    mood_taste: FloatArray
    """Change of that liking [N, M] for a mood of +1."""
    home: FloatArray
    """Mood [N] that the user returns to."""
    habits: FloatArray
    """[N, H] in the order of `HABITS`."""
    control: NDArray[np.bool_]

    def __getitem__(self, rows: IntArray | slice) -> "Minds":
        return Minds(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.persona)

    def liking(self, mood: FloatArray) -> FloatArray:
        """Liking of each kind of reply [N, M] in the mood [N] the users are in."""
        return self.taste + mood[:, None] * self.mood_taste


def draw_world(config: SimulationConfig) -> World:
    """The world of a seed: tastes standardised within a persona, so that no seed is hopeless.

    Each persona's liking over the kinds of reply has mean .08 and standard deviation
    `taste_spread`; habits are standardised over personas, hence weak in every world.
    """
    rng = np.random.default_rng([config.seed, 1])
    taste = _standardised(rng.normal(size=(config.personas, len(MARKS))))
    needs = np.array([_NEEDS.get(mark, 0.0) for mark in MARKS])
    return World(
        taste=_WELCOME + config.taste_spread * taste,
        mood_taste=needs + _MOOD_TASTE_SPREAD * rng.normal(size=taste.shape),
        habits=_HABIT_SPREAD * _standardised(rng.normal(size=(len(HABITS), config.personas))).T,
    )


def draw_minds(
    world: World, personas: IntArray, *, config: SimulationConfig, rng: np.random.Generator
) -> Minds:
    """Draw one individual mind for each entry of `personas` [N]."""
    count = len(personas)
    return Minds(
        persona=personas,
        topic=rng.integers(0, len(phrasebook().topics), count),
        weights=manner_weights(personas, kinds=config.personas, leaning=config.leaning, rng=rng),
        taste=world.taste[personas] + rng.normal(0.0, _INDIVIDUAL, (count, len(MARKS))),
        mood_taste=world.mood_taste[personas],
        home=rng.normal(0.0, _HOME_SPREAD, count),
        habits=world.habits[personas] + rng.normal(0.0, 0.25, (count, len(HABITS))),
        control=rng.random(count) < config.control_share,
    )


def population(config: SimulationConfig) -> Minds:
    """The minds behind a log, the same each time they are asked for."""
    rng = np.random.default_rng(config.seeds(2))
    # Dealt, not drawn: personas of equal size make chance 1 / K exactly.
    personas = rng.permutation(np.arange(config.users) % config.personas)
    return draw_minds(draw_world(config), personas, config=config, rng=rng)


def repetition(reading: Reading) -> FloatArray:
    """Dislike [R, R] of each reply (row) after another one (column): 0 below a shared 45 %."""
    words = reading.vocabulary
    shared = np.array([[overlap(one, other) for other in words] for one in words])
    return repetition_cost(shared)


def repetition_cost(shared: FloatArray) -> FloatArray:
    """Dislike of a reply by the share of its words that an earlier one had, in [0, 1]."""
    return np.asarray(_REPEAT_COST * np.maximum(0.0, shared - _REPEAT_FROM))


def appeal(liking: FloatArray, reading: Reading, *, repeated: FloatArray | float) -> FloatArray:
    """How N users are drawn to each of R replies [N, R], before the manner and saturation.

    `attention . liking - flaw - repeated`: a reply of a liked kind lifts, one that shows no kind
    is met with a shrug.

    Args:
        liking: [N, M] from `Minds.liking`.
        reading: R replies.
        repeated: [N, R] dislike for what was said before in the conversation.
    """
    attention = reading.attention()
    unmarked = _UNMARKED * (1.0 - attention.sum(axis=1))
    return np.asarray(liking @ attention.T + unmarked - reading.flaw - repeated)


def satisfaction(appealing: FloatArray, *, kindred: FloatArray | bool) -> FloatArray:
    """True expected reward in (-1, 1): `tanh(appeal + .06 * kindred)`.

    `kindred` is 1 where the reply opens in the manner of the user's persona.
    """
    return np.asarray(np.tanh(appealing + _KINDRED * kindred))


def next_mood(
    mood: FloatArray, *, home: FloatArray, felt: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Mood [N] in [-1, 1] after a reply that was felt as `felt` [N].

    `m + .2 (home - m) + .5 felt + N(0, .1)`, clipped: replies pull, and each mind returns home.
    """
    drift = _MOOD_HOME * (home - mood)
    noise = rng.normal(0.0, _MOOD_NOISE, len(mood))
    return np.clip(mood + drift + _MOOD_PULL * felt + noise, -1.0, 1.0)


def opening_mood(home: FloatArray, *, rng: np.random.Generator) -> FloatArray:
    """Mood [N] in which people come with something that troubles them."""
    return np.clip(home - 0.15 + rng.normal(0.0, 0.25, len(home)), -1.0, 1.0)


def shown_mood(mood: FloatArray, *, rng: np.random.Generator) -> IntArray:
    """Which of the three moods the words show [N], an uncertain sign of the true one."""
    seen = mood + rng.normal(0.0, 0.15, len(mood))
    return np.digitize(seen, (-0.2, 0.2)).astype(np.int64)


def _standardised(values: FloatArray) -> FloatArray:
    spread = values.std(axis=1, keepdims=True)
    return np.asarray((values - values.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-9))


def topic_names(indexes: Iterable[int]) -> list[str]:
    """Names of topics by index."""
    return [phrasebook().topics[index] for index in indexes]
