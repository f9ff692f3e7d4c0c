"""After the adapters are trained: do their arms show, and how well does a reply fit its context?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport.affect.strategy import StrategyScorer
from rapport.arms import Menu, agents, load_menu
from rapport.language.discriminator import MIN_PAIRS, ReplyDiscriminator
from rapport.language.engine import Engine
from rapport.language.examples import Example, Lesson
from rapport.language.library import Library
from rapport.language.prompts import Message, build
from rapport.language.showing import Context, Showing, judge, write_replies
from rapport.text import TextEncoder

Floats = NDArray[np.float64]
DISCRIMINATOR_FILE = "discriminator.json"


@dataclass(frozen=True)
class Readers:
    """Models that read what was written."""

    encoder: TextEncoder
    strategies: StrategyScorer


def measure_arms(
    engine: Engine, lessons: Mapping[str, Lesson], readers: Readers, *, n: int, seed: int
) -> dict[str, Showing]:
    """Write `n` replies under every arm in turn and see how many are recognised, by agent.

    Contexts are held-out users' messages, each answered with its persona's adapter.
    """
    contexts = [
        Context(example.messages, name if name in engine.adapters else "shared")
        for name, lesson in lessons.items()
        for example in lesson.held_out
    ]
    order = np.random.default_rng(seed).permutation(len(contexts))
    mixed = [contexts[i] for i in order]
    menus = [_known(load_menu(agent), readers.strategies) for agent in agents()]
    arms = sum(len(menu.served) for menu in menus)
    showings = {}
    for menu in menus:
        share = max(n * len(menu.served) // arms, len(menu.served))
        written = write_replies(engine, menu, mixed, n=share, seed=seed)
        vectors = readers.encoder.encode(written.texts)
        found = readers.strategies.predict(written.texts, vectors)
        names = [arm.name for arm in menu.served]
        columns = [readers.strategies.arms.index(name) for name in names]
        showings[menu.agent_id] = judge(written.arms, found[:, columns], names)
    return showings


def _known(menu: Menu, strategies: StrategyScorer) -> Menu:
    """A menu with the arms that the log taught to recognise; the others cannot be measured."""
    arms = tuple(arm for arm in menu.served if arm.name in strategies.arms)
    return menu.model_copy(update={"arms": arms})


def fit_discriminator(
    engine: Engine, lessons: Mapping[str, Lesson], readers: Readers, *, n: int, seed: int
) -> ReplyDiscriminator | None:
    """Fit the model of which reply fits which message on held-out users' replies.

    Returns:
        None where fewer than 20 replies were held out.
    """
    examples = [each for lesson in lessons.values() for each in lesson.held_out]
    order = np.random.default_rng(seed).permutation(len(examples))[:n]
    chosen = [examples[i] for i in order]
    if len(chosen) < MIN_PAIRS:
        return None
    others = chosen[1:] + chosen[:1]
    true = _features(engine, chosen, chosen, readers.encoder)
    other = _features(engine, chosen, others, readers.encoder)
    return ReplyDiscriminator.fit(true, other, seed=seed)


def _features(
    engine: Engine, replies: Sequence[Example], contexts: Sequence[Example], encoder: TextEncoder
) -> Floats:
    """[N, 3] of each reply under the context of the same place."""
    texts = [each.reply for each in replies]
    names: list[str | None] = ["shared"] * len(texts)
    prompts = [
        build(context.messages, arm=reply.arm)
        for reply, context in zip(replies, contexts, strict=True)
    ]
    bare: list[list[Message]] = [[m for m in p if m["role"] == "system"] for p in prompts]
    given = engine.score(prompts, texts, adapters=names).per_token
    alone = engine.score(bare, texts, adapters=names).per_token
    said = encoder.encode([context.messages[-1]["content"] for context in contexts])
    near = (said * encoder.encode(texts)).sum(axis=1)
    return np.column_stack([given, given - alone, near]).astype(np.float64)


def save_findings(
    folder: Path, showings: Mapping[str, Showing], fit: ReplyDiscriminator | None
) -> Library:
    """Write `library.json` and `discriminator.json` beside the adapters."""
    library = Library(showings)
    library.save(folder)
    if fit is not None:
        fit.save(folder / DISCRIMINATOR_FILE)
    return library
