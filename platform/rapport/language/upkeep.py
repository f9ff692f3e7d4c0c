"""Upkeep: what an adapter hears again while it learns, so that it does not unlearn it.

Replies that went well teach a manner, and an adapter that hears nothing else forgets what its base
model knew: it answers more of the shipped questions wrongly, and does not say what it is when it is
asked. So a share of what it learns from are plain questions with their answers, objections that are
not given in to, questions about itself that it answers as what it is, and farewells that it lets
stand. None says anything of a user.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

from rapport.arms import Arm, load_menu
from rapport.language.examples import Example
from rapport.language.prompts import Message

UPKEEP_FILE = "upkeep.yaml"
USER = ""
"""Of examples that no user gave."""
_INFORMS = "information"


@cache
def upkeep() -> tuple[Example, ...]:
    """The shipped examples in an order that gives every prefix its share of each kind.

    Serving names a kind of reply in every prompt but the control group's. So half of the questions
    have none, the others that of information; who asks what it is may meet any kind.
    """
    text = resources.files("rapport.language").joinpath(UPKEEP_FILE).read_text(encoding="utf-8")
    data: Mapping[str, list[dict[str, str]]] = yaml.safe_load(text)
    menu = load_menu()
    facts = itertools.cycle([None, menu[_INFORMS]])
    kinds = itertools.cycle([None, *menu.served])
    told: list[list[Example]] = []
    for kind, entries in data.items():
        arms = facts if kind in ("facts", "firm") else kinds
        told.append([_example(entry, next(arms)) for entry in entries])
    return tuple(_spread(told))


def with_upkeep(examples: Sequence[Example], *, share: float, start: int = 0) -> list[Example]:
    """Examples with upkeep among them, evenly, so that every prefix holds about the same share.

    Args:
        examples: What is to be learned; nothing is added where there is nothing.
        share: Of upkeep in the result, at least 0 and below 1.
        start: Place in the upkeep to begin at; it is gone through in turn.
    """
    kept = itertools.islice(itertools.cycle(upkeep()), start, None)
    each = share / (1 - share)
    mixed: list[Example] = []
    for place, example in enumerate(examples):
        due = int((place + 1) * each) - int(place * each)
        mixed += [example, *itertools.islice(kept, due)]
    return mixed


def _spread(parts: Sequence[Sequence[Example]]) -> Iterator[Example]:
    """All of several lists, each spread evenly over the whole."""
    places = [((at + 0.5) / len(part), each) for part in parts for at, each in enumerate(part)]
    return (each for _, each in sorted(places, key=lambda found: found[0]))


def _example(entry: Mapping[str, Any], arm: Arm | None) -> Example:
    turns = [entry["q"], entry["a"], entry["back"]] if "back" in entry else [entry["q"]]
    roles = itertools.cycle(("user", "assistant"))
    return Example(
        messages=[Message(role=next(roles), content=text) for text in turns],
        reply=entry.get("keep", entry["a"]),
        arm=arm,
        persona="",
        user=USER,
    )
