"""Writers: whatever answers conversations, so that everything is measured through one door."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rapport.arms import Arm
from rapport.language.engine import Engine, GenerationRequest, complete
from rapport.language.library import Library, approved_reply
from rapport.language.prompts import Level, Message, build
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine

Conversation = Sequence[Message]
Choose = Callable[[Conversation], Arm | None]
"""The kind of reply that a conversation gets; none asks for none."""
PLACES = 16
"""Replies written at once: on two cores more of them cost memory and save nothing."""
MAX_TOKENS = 48
_SEED = 0


class Writer(Protocol):
    """Answers N conversations, each ending with the turn of the user to be answered."""

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        """N replies, in order; the same conversations get the same replies."""


@runtime_checkable
class ScoringWriter(Writer, Protocol):
    """A writer that also says how likely it would be to give a reply."""

    def score(
        self, conversations: Sequence[Conversation], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """[N] natural log of the probability of each reply and its end; at most 0."""


@dataclass(frozen=True, kw_only=True)
class EngineWriter:
    """A model of the bundled engine, with the prompt that serving would build.

    Greedy, so that no draw stands between two writers. Not thread-safe: nobody else may use the
    engine meanwhile.
    """

    engine: Engine
    adapter: str | None = None
    """Name of a loaded adapter; none is the base model."""
    level: Level = "role"
    card: str | None = None
    """What is known of the persona; used at level `context`."""
    style: str | None = None
    choose: Choose | None = None
    max_tokens: int = MAX_TOKENS

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        """Greedy replies."""
        requests = [
            GenerationRequest(
                request_id=f"card-{i}",
                messages=self.prompt(conversation),
                adapter=self.adapter,
                sampling=Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=_SEED),
            )
            for i, conversation in enumerate(conversations)
        ]
        return [completion.text.strip() for completion in complete(self.engine, requests)]

    def score(
        self, conversations: Sequence[Conversation], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """[N] log probability of each reply under this writer's prompt and adapter."""
        prompts = [self.prompt(conversation) for conversation in conversations]
        adapters = [self.adapter] * len(prompts)
        return self.engine.score(prompts, list(replies), adapters=adapters).total

    def prompt(self, conversation: Conversation) -> list[Message]:
        """What the model reads."""
        arm = self.choose(conversation) if self.choose else None
        return build(conversation, arm=arm, card=self.card, style=self.style, level=self.level)


@dataclass(frozen=True, kw_only=True)
class LibraryWriter:
    """A writer behind a release's approved library: arms that the model does not show are read out.

    As in serving, `choose` draws the kind of reply; where the library answers it, `written` does
    not, and gets the other conversations in one batch.
    """

    written: Writer
    library: Library
    agent_id: str
    choose: Choose

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        """Approved replies where the library has the word, written ones elsewhere."""
        arms = [self.choose(conversation) for conversation in conversations]
        fixed = {
            i: approved_reply(arm, used=_said(conversations[i]), seed=_SEED + i)
            for i, arm in enumerate(arms)
            if arm and self.library.answers(self.agent_id, arm.name)
        }
        left = [i for i in range(len(arms)) if i not in fixed]
        fixed |= dict(zip(left, self.written([conversations[i] for i in left]), strict=True))
        return [fixed[i] for i in range(len(arms))]


def open_engine(
    model: Path, adapters: Mapping[str, Path] | None = None, *, places: int = PLACES
) -> TransformersEngine:
    """The bundled engine with adapters by name, sized for measuring.

    Raises:
        ConfigError: The folder holds no model of a known architecture.
        DataError: An adapter is broken or of another model.
    """
    most = max(len(adapters or {}), 1)
    return TransformersEngine(model, adapters, places=places, max_adapters=most)


def bare_writer(engine: Engine) -> EngineWriter:
    """The base model with the conversation alone: nothing of ours in its prompt."""
    return EngineWriter(engine=engine, level="base")


def prompted_writer(
    engine: Engine,
    *,
    level: Level = "role",
    card: str | None = None,
    choose: Choose | None = None,
) -> EngineWriter:
    """The base model with our prompt: the role, the arm's exemplars, the persona's card."""
    return EngineWriter(engine=engine, level=level, card=card, choose=choose)


def adapted_writer(
    engine: Engine,
    adapter: str,
    *,
    level: Level = "role",
    card: str | None = None,
    choose: Choose | None = None,
) -> EngineWriter:
    """A loaded adapter with our prompt, as serving asks it."""
    return EngineWriter(engine=engine, adapter=adapter, level=level, card=card, choose=choose)


def always(arm: Arm) -> Choose:
    """The same kind of reply whatever is said."""
    return lambda _conversation: arm


def _said(conversation: Conversation) -> list[str]:
    return [message["content"] for message in conversation if message["role"] == "assistant"]
