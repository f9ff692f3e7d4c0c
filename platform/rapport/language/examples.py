"""Examples: what adapters learn from, chosen among logged replies that went well."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from rapport.arms import Arm
from rapport.language.prompts import Message


@dataclass(frozen=True, kw_only=True)
class Example:
    """A prompt and a reply that was given to it."""

    messages: Sequence[Message]
    """The conversation up to the user's turn."""
    reply: str
    arm: Arm | None
    """None for the plain replies of the control group."""
    persona: str
    user: str
    """Key of the user; whole users are held out."""


@dataclass(frozen=True, kw_only=True)
class LoggedReply:
    """An example as it stands in a log, with what came of it."""

    decision_id: str
    reward: float
    example: Example


@dataclass(frozen=True)
class Lesson:
    """What one run learns from and is judged on, users apart."""

    train: Sequence[Example]
    held_out: Sequence[Example]


def choose(
    logged: Iterable[LoggedReply], *, per_persona: int, seed: int
) -> dict[str, list[Example]]:
    """Pick the replies worth learning: above the persona's median reward, arms in equal shares.

    Arms with few good replies give all they have and the others fill up. Left out are replies
    without an arm, since nothing in their prompt would say what they are, and those under an arm
    that is never served. Drawn by the seed and the decisions' ids alone: the order of `logged`
    does not matter.

    Args:
        logged: Decisions of any number of personas.
        per_persona: Most examples a persona gets.
        seed: Seeds the draw.

    Returns:
        Examples by persona, arms taking turns, so that every prefix is as balanced as can be.
    """
    by_persona = defaultdict(list)
    for logged_reply in sorted(logged, key=lambda each: each.decision_id):
        example = logged_reply.example
        if example.arm and example.arm.serve and example.reply.strip():
            by_persona[example.persona].append(logged_reply)
    return {
        persona: _balanced(_good(replies), per_persona, seed)
        for persona, replies in sorted(by_persona.items())
    }


def _good(logged: Sequence[LoggedReply]) -> list[Example]:
    middle = median(each.reward for each in logged)
    above = [each.example for each in logged if each.reward > middle]
    # Where all rewards are equal, no reply is better than another.
    return above or [each.example for each in logged]


def _balanced(examples: Sequence[Example], most: int, seed: int) -> list[Example]:
    by_arm: dict[str, list[Example]] = defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(examples)):
        example = examples[index]
        by_arm[example.arm.name if example.arm else ""].append(example)
    turns = [(place, arm) for arm, own in by_arm.items() for place in range(len(own))]
    return [by_arm[arm][place] for place, arm in sorted(turns)[:most]]
