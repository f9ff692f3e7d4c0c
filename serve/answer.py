"""An answer on its way out: OpenAI's completion or its stream of chunks, ours beside it."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rapport.errors import ServingError

from .errors import error_body
from .holding import Chunk
from .speech import Speech


@dataclass(frozen=True)
class Answer:
    """A chosen reply: whole in `speech`, or coming out of `chunks`, once."""

    inference_id: str
    model: str
    block: Callable[[], dict[str, Any]]
    """Gives the response's `rapport` object; it is final once the reply has ended."""
    speech: Speech
    chunks: AsyncIterator[Sequence[Chunk]] | None = None
    """Batches of chunks of a stream; none where the reply is whole already."""
    created: int = field(default_factory=lambda: int(time.time()))

    def headers(self) -> dict[str, str]:
        """Response headers that name the decision, or say that there is none to be kept."""
        names = {"decision-id": "decision_id", "persona": "persona_id", "policy": "policy_version"}
        block = self.block()
        told = {f"x-rapport-{name}": str(block[key]) for name, key in names.items() if block[key]}
        return {**told, "x-rapport-degraded": "store"} if block.get("degraded") == "store" else told

    async def completion(self) -> dict[str, Any]:
        """Shape the whole answer as OpenAI's chat completion; an upstream's own stays as it is."""
        ours = {
            **self._head("chat.completion"),
            "choices": self.speech.choices(),
            "usage": self.speech.usage.as_openai(),
        }
        return {**(self.speech.document or ours), "rapport": self.block()}

    async def events(self, *, include_usage: bool) -> AsyncGenerator[str]:
        """Yield server-sent events, those of a batch together.

        The `rapport` object is in the first chunk and, as things ended, in the one that ends the
        decision's reply. Usage comes last, ours where an upstream sent none and it is known; then
        `[DONE]`, but not behind the error that a stream breaks off with. Closing it closes
        `chunks`, whose decision then says that the client left.
        """
        try:
            async for event in self._events(include_usage=include_usage):
                yield event
        finally:
            if isinstance(self.chunks, AsyncGenerator):
                await self.chunks.aclose()

    async def _events(self, *, include_usage: bool) -> AsyncIterator[str]:
        head, first = self._head("chat.completion.chunk"), True
        assert self.chunks is not None
        try:
            async for batch in self.chunks:
                events = []
                for chunk in batch:
                    block = {"rapport": self.block()} if first or _ends(chunk) else {}
                    events.append(_event({**head, **chunk, **block}))
                    include_usage &= not chunk.get("usage")
                    first = False
                if events:
                    yield "".join(events)
        except ServingError as error:
            yield _event(error_body(error))
            return
        if include_usage and self.speech.usage.known:
            yield _event({**head, "choices": [], "usage": self.speech.usage.as_openai()})
        yield "data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.inference_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


def _ends(chunk: Chunk) -> bool:
    """Whether the decision's reply, the first of the choices, ends with this chunk."""
    return any(c.get("index", 0) == 0 and c.get("finish_reason") for c in chunk["choices"])


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"
