"""The rungs of the ladder: the same messages answered with ever more of what a release learned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rapport.arms import Arm, Menu
from rapport.card.measured import ASKED_WITH
from rapport.card.writers import Conversation, EngineWriter, LibraryWriter, Writer, always
from rapport.language.engine import Engine
from rapport.language.library import Library
from rapport.language.training import SHARED

Rung = Literal["base", "prompt", "few_shot_context", "adapter", "adapter_policy"]
RUNGS: tuple[Rung, ...] = get_args(Rung)


@dataclass(frozen=True)
class Asked:
    """A conversation to answer, whose persona is known as far as its words tell."""

    conversation: Conversation
    persona: str
    policy_arm: Arm
    """What the release's policy holds best here."""
    even_arm: Arm
    """One drawn evenly, for the rungs below the policy."""


@dataclass(frozen=True)
class Learned:
    """What a release brings to the rungs."""

    engine: Engine
    """The base model with the release's adapters."""
    cards: Mapping[str, str]
    """What prompts say of each persona."""
    menu: Menu
    library: Library

    def adapter(self, persona: str) -> str | None:
        """The persona's adapter, else the shared one, else none: as serving has it."""
        return next((name for name in (persona, SHARED) if name in self.engine.adapters), None)


def answers(rung: Rung, learned: Learned, asked: Sequence[Asked]) -> list[str]:
    """What a rung answers to N conversations, in order.

    `base` sees the conversation alone. `prompt` has our role before it. `few_shot_context` has a
    kind of reply drawn evenly, its exemplars, and the persona's card. `adapter` is the persona's
    adapter with the same kinds of reply, as it was trained. `adapter_policy` is what a release
    serves: the policy's best kind of reply, and the approved library for kinds that the model does
    not show.
    """
    replies = [""] * len(asked)
    for persona in dict.fromkeys(each.persona for each in asked):
        places = [i for i, each in enumerate(asked) if each.persona == persona]
        own = [asked[i] for i in places]
        written = _writer(rung, learned, persona, own)([each.conversation for each in own])
        for place, reply in zip(places, written, strict=True):
            replies[place] = reply
    return replies


def questioned(rung: str, learned: Learned, asked: Sequence[Asked]) -> EngineWriter | None:
    """The writer of a rung for questions with checkable answers; none where it is the one below.

    The persona is the one that most of the conversations have; the kind of reply is always the
    same, since a policy that chose among kinds would answer other questions.
    """
    if rung == "adapter_policy":
        return None
    if rung in ("base", "prompt"):
        return EngineWriter(engine=learned.engine, level="base" if rung == "base" else "role")
    persona = Counter(each.persona for each in asked).most_common(1)[0][0]
    choose = always(learned.menu[ASKED_WITH])
    if rung == "few_shot_context":
        card = learned.cards.get(persona)
        return EngineWriter(engine=learned.engine, level="context", card=card, choose=choose)
    return EngineWriter(engine=learned.engine, adapter=learned.adapter(persona), choose=choose)


def even_arms(menu: Menu, n: int, *, seed: int) -> list[Arm]:
    """[N] served arms, each as often as the others, in random order."""
    turns = [menu.served[i % len(menu.served)] for i in range(n)]
    return [turns[i] for i in np.random.default_rng(seed).permutation(n)]


def _writer(rung: Rung, learned: Learned, persona: str, asked: Sequence[Asked]) -> Writer:
    if rung == "base":
        return EngineWriter(engine=learned.engine, level="base")
    if rung == "prompt":
        return EngineWriter(engine=learned.engine)
    # A writer asks for the kind of reply by the conversation alone.
    kinds = {
        id(each.conversation): each.policy_arm if rung == "adapter_policy" else each.even_arm
        for each in asked
    }

    def choose(conversation: Conversation) -> Arm:
        return kinds[id(conversation)]

    if rung == "few_shot_context":
        card = learned.cards.get(persona)
        return EngineWriter(engine=learned.engine, level="context", card=card, choose=choose)
    writer = EngineWriter(engine=learned.engine, adapter=learned.adapter(persona), choose=choose)
    if rung == "adapter":
        return writer
    return LibraryWriter(
        written=writer, library=learned.library, agent_id=learned.menu.agent_id, choose=choose
    )
