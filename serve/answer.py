"""An answer on its way out: OpenAI's completion or its stream of chunks, ours beside it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Usage:
    """Tokens and end of one reply; filled while it is written."""

    tokens_in: int = 0
    tokens_out: int = 0
    finish: str = "stop"

    def as_openai(self) -> dict[str, int]:
        """OpenAI's usage object."""
        total = self.tokens_in + self.tokens_out
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": total,
        }


@dataclass(frozen=True)
class Answer:
    """A chosen reply: its text comes out of `pieces`, once."""

    inference_id: str
    model: str
    block: Callable[[], dict[str, Any]]
    """Gives the response's `rapport` object; it is final once `pieces` has ended."""
    pieces: AsyncIterator[str]
    usage: Usage = field(default_factory=Usage)
    created: int = field(default_factory=lambda: int(time.time()))

    def headers(self) -> dict[str, str]:
        """Response headers that name the decision."""
        names = {"decision-id": "decision_id", "persona": "persona_id", "policy": "policy_version"}
        block = self.block()
        return {f"x-rapport-{name}": str(block[key]) for name, key in names.items() if block[key]}

    async def completion(self) -> dict[str, Any]:
        """Shape the whole answer as OpenAI's chat completion."""
        text = "".join([piece async for piece in self.pieces])
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": self.usage.finish}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": self.usage.as_openai(),
            "rapport": self.block(),
        }

    async def events(self, *, include_usage: bool) -> AsyncIterator[str]:
        """Yield server-sent events: ids in the first chunk, `[DONE]` last."""
        first = {"role": "assistant", "content": ""}
        yield self._chunk(first, rapport=self.block())
        async for piece in self.pieces:
            yield self._chunk({"content": piece})
        yield self._chunk({}, finish=self.usage.finish, rapport=self.block())
        if include_usage:
            body = {**self._head("chat.completion.chunk"), "choices": []}
            yield _event({**body, "usage": self.usage.as_openai()})
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: Mapping[str, str], *, finish: str | None = None, **more: object) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice], **more})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.inference_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"
