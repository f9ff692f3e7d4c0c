"""The phrases of the simulation: manners, topics and replies, read from the package once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

SLOTS = ("opener", "intensifier", "link", "question", "ending", "feeling", "shape")
"""What of a message shows the manner; each slot draws its manner by itself."""
MOODS = ("low", "mixed", "good")
EFFECTS = ("down", "flat", "up")

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class Phrasebook:
    """Every phrase a simulated person may use, indexed by manner, mood, topic and agent."""

    manners: Phrases
    slots: Mapping[str, tuple[Phrases, ...]]
    """Slot to phrases by manner."""
    feelings: tuple[tuple[Phrases, ...], ...]
    """Feeling words by mood, then manner."""
    reactions: tuple[Phrases, ...]
    """What is said of the last reply, by its effect."""
    shapes: tuple[Phrases, ...]
    """Order of a message's parts by manner."""
    topics: Phrases


@cache
def phrasebook() -> Phrasebook:
    """The shipped phrases of people."""
    raw = load("styles.yaml")
    manners: Phrases = tuple(raw["manners"])

    def by_manner(part: Mapping[str, Sequence[str]]) -> tuple[Phrases, ...]:
        return tuple(tuple(part[manner]) for manner in manners)

    return Phrasebook(
        manners=manners,
        slots={slot: by_manner(part) for slot, part in raw["slots"].items()},
        feelings=tuple(by_manner(raw["feelings"][mood]) for mood in MOODS),
        reactions=tuple(tuple(raw["reactions"][effect]) for effect in EFFECTS),
        shapes=by_manner(raw["shapes"]),
        topics=tuple(load("topics.yaml")),
    )


@cache
def contents(topic: str, agent_id: str) -> Mapping[str, Phrases]:
    """Statements, details and subjects of one topic as people bring it to one agent."""
    topics = load("topics.yaml")[topic]
    lists = {name: topics[name] for name in ("statements", "details")} | topics[agent_id]
    return {key: tuple(value) for key, value in lists.items()}


@cache
def leads() -> tuple[Phrases, ...]:
    """Openings with which a reply echoes a manner, by manner; the neutral one has none."""
    raw = load("replies.yaml")["leads"]
    return tuple(tuple(raw.get(manner, ())) for manner in phrasebook().manners)


@cache
def load(name: str) -> Any:  # noqa: ANN401 - the shape is the file's
    """One phrase file of this package, parsed."""
    text = (resources.files("rapport.simulation") / name).read_text(encoding="utf-8")
    return yaml.safe_load(text)
