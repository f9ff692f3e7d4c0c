"""The engine protocol: requests go in at any time, text comes out step by step."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rapport.language.prompts import Message
from rapport.language.sampling import Sampling

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One reply to write."""

    request_id: str
    """Unique among the requests the engine still works on."""
    messages: Sequence[Message]
    """Prompt, as `prompts.build` makes it."""
    adapter: str | None = None
    """Name of a loaded adapter; none is the base model."""
    sampling: Sampling = field(default_factory=Sampling)
    wire: "Wire | None" = None
    """The whole request in the OpenAI API's JSON, for an engine that is such a server itself."""


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A request in the client's own bytes, but for what was said otherwise on purpose."""

    body: bytes
    """JSON of `POST /chat/completions`."""
    streamed: bool = False
    plain: bytes | None = None
    """The same body without what we added for ourselves, for servers that refuse that."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What one step added to one reply."""

    request_id: str
    text: str
    """New text, often empty: characters are held back until they are whole and certain."""
    finish: Finish | None = None
    """Set on the reply's last delta: a natural end or stop text, `max_tokens`, or cancelled."""
    tokens_in: int
    tokens_out: int
    """Tokens of the reply so far, its end token not counted."""
    index: int = 0
    """Which of several replies to one request."""
    chunk: Mapping[str, Any] | None = None
    """What a server sent, in the OpenAI API's words: a chunk of a stream, or a whole completion.
    `text` and `finish` are then its first choice's."""
    cost: float | None = None
    """Price of the reply so far, in the currency of the configured prices; none if not known."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A whole reply."""

    text: str
    finish: Finish
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Scores:
    """How likely given replies are under given prompts."""

    total: NDArray[np.float64]
    """[N] natural log of the replies' probability, the end token included; at most 0."""
    tokens: NDArray[np.int64]
    """[N] tokens that `total` sums over."""

    @property
    def per_token(self) -> NDArray[np.float64]:
        """[N] mean log probability a token."""
        return self.total / self.tokens

    @property
    def perplexity(self) -> float:
        """Of all replies together, every token weighing the same; at least 1."""
        return float(np.exp(-self.total.sum() / self.tokens.sum()))


class Engine(Protocol):
    """Writes replies with any mix of adapters in one batch.

    One thread calls `step`, `score` and the adapter methods; `submit`, `cancel` and `read_ahead`
    may come from any thread. A request in flight keeps the adapter it started with, also when that
    name is replaced or removed meanwhile.
    """

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters, sorted."""

    @property
    def busy(self) -> bool:
        """True while a request waits or is being written."""

    def read_ahead(self, folder: Path) -> None:
        """Read an adapter's files beside the work, so that adding it holds no reply up for long.

        Raises:
            DataError: The folder holds no whole adapter.
        """

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load a PEFT adapter, replacing one of the same name.

        When as many as the engine may hold are loaded, the one longest not used is unloaded.

        Raises:
            DataError: The folder holds no adapter that fits this model.
            ConfigError: Replies in flight use all that the engine may hold.
        """

    def remove_adapter(self, name: str) -> None:
        """Unload an adapter.

        Raises:
            UnknownNameError: No adapter has that name.
        """

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; it starts at the next step with a free place.

        Raises:
            UnknownNameError: Its adapter is not loaded.
            ConfigError: Its prompt and `max_tokens` do not fit the context, or its id is in use.
        """

    def cancel(self, request_id: str) -> None:
        """Stop writing a reply; its last delta says so. Unknown ids are ignored."""

    def step(self) -> Sequence[Delta]:
        """Add one token to every reply being written; what changed."""

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        replies: Sequence[str],
        *,
        adapters: Sequence[str | None] | None = None,
    ) -> Scores:
        """Conditional log-likelihood of N replies; nothing is written.

        A prompt of system messages only gives the unconditional likelihood, whose difference to
        the conditional one says how much a reply owes to its context.
        """


def generate(
    engine: Engine, requests: Sequence[GenerationRequest]
) -> Generator[Sequence[Delta], None, None]:
    """Write replies with an engine that nobody else is using, one list of deltas a step.

    Closing the iterator early cancels what is unfinished.
    """
    open_ids = {request.request_id for request in requests}
    for request in requests:
        engine.submit(request)
    try:
        while open_ids:
            deltas = engine.step()
            open_ids -= {delta.request_id for delta in deltas if delta.finish}
            yield deltas
    finally:
        for request_id in open_ids:
            engine.cancel(request_id)
        if open_ids:
            engine.step()


def complete(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    """Whole replies, in the order of the requests, from an engine nobody else is using."""
    texts = {request.request_id: "" for request in requests}
    last: dict[str, Delta] = {}
    for deltas in generate(engine, requests):
        for delta in deltas:
            texts[delta.request_id] += delta.text
            last[delta.request_id] = delta
    return [
        Completion(
            text=text,
            finish=last[name].finish or "cancelled",
            tokens_in=last[name].tokens_in,
            tokens_out=last[name].tokens_out,
        )
        for name, text in texts.items()
    ]
