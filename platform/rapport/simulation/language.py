"""How simulated people write: slots drawn from the manners a user leans to, put into a message.

Each slot of a turn draws its manner from the user's weights
`(1 - l) * Dirichlet(200 * base) + l * onehot(persona's manner)`, `l ~ N(leaning, .04)`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.phrases import SLOTS, contents, phrasebook

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PICKS = (*SLOTS[:-1], "statement", "detail", "reaction")
"""Places of a message where one of several phrases is picked."""
SHORTEST, LONGEST = 8, 25
"""Words of a message."""
NEUTRAL = 0.4
"""Share of the neutral manner before any leaning."""
_CONCENTRATION = 200.0
_LEANING_SPREAD = 0.04
_VARIANTS = 27_720
"""Divisible by every length a list of phrases has, so that each phrase is equally likely."""
_GLUED = ("ending", "stop")
_DROPPABLE = ("detail", "question", "reaction", "opener")
_SPEAKS_OF_REPLY = 0.65
"""Share of later messages that begin with a word on the last reply."""


@dataclass(frozen=True)
class Wording:
    """What N messages are made of, before they are words.

    `manner` [N, slots] index into the manners; `pick` [N, places] free choices; `mood` [N] index
    into the moods the feeling word shows; `effect` [N] index into what the last reply did, -1
    where the message does not speak of it.
    """

    manner: IntArray
    pick: IntArray
    mood: IntArray
    effect: IntArray


def manner_weights(
    personas: IntArray, *, kinds: int, leaning: float, rng: np.random.Generator
) -> FloatArray:
    """Draw users' manner weights [N, slots, 1 + kinds]; rows sum to 1, column 0 is neutral.

    Args:
        personas: [N] in 0 .. kinds - 1; persona k leans to manner k + 1.
        kinds: Number of personas.
        leaning: Mean weight of the own manner; 0 makes users indistinguishable.
        rng: Drawn from in a fixed order and amount.
    """
    base = np.full(1 + kinds, (1.0 - NEUTRAL) / kinds)
    base[0] = NEUTRAL
    # The Dirichlet keeps every user a little off the persona: idiosyncrasy is not removed by data.
    own = rng.dirichlet(_CONCENTRATION * base, size=(len(personas), len(SLOTS)))
    lean = np.clip(rng.normal(leaning, _LEANING_SPREAD, len(personas)), 0.0, 1.0)[:, None, None]
    target = np.eye(1 + kinds)[personas + 1][:, None, :]
    return np.asarray((1.0 - lean) * own + lean * target)


def draw_wording(
    weights: FloatArray, *, mood: IntArray, effect: IntArray, rng: np.random.Generator
) -> Wording:
    """Draw the wording of N messages.

    Args:
        weights: [N, slots, K] as `manner_weights` draws them.
        mood: [N] index of the mood that the feeling word shows.
        effect: [N] what the last reply did, -1 where there was none.
        rng: Drawn from in a fixed order and amount.
    """
    count = len(weights)
    drawn = rng.random((count, len(SLOTS), 1))
    manner = (drawn > weights.cumsum(axis=2)[:, :, :-1]).sum(axis=2)
    pick = rng.integers(0, _VARIANTS, (count, len(PICKS)))
    speaks = rng.random(count) < _SPEAKS_OF_REPLY
    return Wording(manner, pick, mood, np.where(speaks, effect, -1))


def compose(wording: Wording, *, topics: Sequence[str], agents: Sequence[str]) -> list[str]:
    """Write N messages of 8 to 25 words.

    Too long ones lose, in this order, the detail, the question, the word on the last reply and
    the opener. About 20 us a message.

    Args:
        wording: What they are made of.
        topics: N names of topics.
        agents: N agent ids.
    """
    rows = zip(
        wording.manner.tolist(), wording.pick.tolist(), wording.mood.tolist(),
        wording.effect.tolist(), topics, agents, strict=True,
    )  # fmt: skip
    return [_message(*row) for row in rows]


def _message(
    manner: list[int], pick: list[int], mood: int, effect: int, topic: str, agent_id: str
) -> str:
    book, content = phrasebook(), contents(topic, agent_id)

    def chosen(phrases: Sequence[str], place: int) -> str:
        return phrases[pick[place] % len(phrases)]

    opener, intensifier, link, question, ending = (
        chosen(book.slots[slot][manner[place]], place) for place, slot in enumerate(SLOTS[:5])
    )
    feeling = chosen(book.feelings[mood][manner[5]], 5)
    parts = {
        "opener": opener,
        "reaction": chosen(book.reactions[effect], 8) if effect >= 0 else "",
        "question": question,
        "statement": chosen(content["statements"], 6),
        "link": link,
        "feeling": f"I feel {intensifier} {feeling}",
        "ending": ending,
        "detail": chosen(content["details"], 7) + ".",
        "stop": ".",
    }
    order = [part for part in ("opener", "reaction", *book.shapes[manner[6]]) if parts[part]]
    # What goes first is what shows the least of the manner.
    excess = sum(len(parts[part].split()) for part in order) - LONGEST
    for part in _DROPPABLE:
        if excess > 0 and part in order:
            order.remove(part)
            excess -= len(parts[part].split())
    return _joined(order, parts)


def _joined(order: Sequence[str], parts: Mapping[str, str]) -> str:
    text, starts = "", True
    for part in order:
        phrase = parts[part]
        if starts:
            phrase = phrase[0].upper() + phrase[1:]
        glued = part in _GLUED or phrase[0] in ",;" or not text
        text += phrase if glued else " " + phrase
        starts = part in _GLUED or phrase[-1] in ".?"
    return text
