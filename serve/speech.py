"""What was said: the replies of one exchange, while they are written and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

from rapport.language.engine import Delta

from .records import Origin

_SPOKEN = ("content", "refusal")
_BESIDE = ("reasoning_content", "reasoning")
"""What servers call the thoughts they send along; people see them too, so the guard reads them."""


@dataclass
class Usage:
    """Tokens of an exchange; filled while it is written."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    """In the currency of the configured prices; none where nobody knows."""
    known: bool = True
    """False where an upstream did not say: of a stream that passes unchanged it tells its usage
    only where the client asked for it."""

    def as_openai(self) -> dict[str, int]:
        """OpenAI's usage object."""
        total = self.tokens_in + self.tokens_out
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": total,
        }


@dataclass
class Sample:
    """One of the `n` replies asked for."""

    text: str = ""
    """Its content, or its refusal."""
    read: str = ""
    """All of it that people would see, in the order it came: for the guard."""
    finish: str | None = None
    calls_tool: bool = False
    tokens_out: int = 0
    left: int = 0
    """Characters of a streamed reply's text that are out."""
    replaced: bool = False
    """Whether an approved text stands here; what the engine still writes is not heard."""

    def hear(self, message: Mapping[str, Any], finish: str | None) -> None:
        """Take in a message, or what a chunk adds to one, in OpenAI's words."""
        if self.replaced:
            return
        for name in (*_BESIDE, *_SPOKEN):
            piece = message.get(name)
            if isinstance(piece, str):
                self.read += piece
                self.text += piece if name in _SPOKEN else ""
        self.calls_tool |= bool(message.get("tool_calls") or message.get("function_call"))
        self.finish = finish or self.finish

    def say(self, text: str) -> None:
        """Be this text and nothing else."""
        self.text = self.read = text
        self.finish, self.calls_tool, self.replaced = "stop", False, True

    @property
    def is_missing(self) -> bool:
        """Whether the engine has said nothing of it: not every server knows `n`."""
        return not self.read and self.finish is None

    @property
    def is_out(self) -> bool:
        """Whether all of a streamed reply has left."""
        return self.finish is not None and self.left == len(self.text)


@dataclass
class Speech:
    """What was said; changes while a reply is written. `samples[0]` is the decision's reply."""

    delivered: str
    usage: Usage = made(default_factory=Usage)
    samples: list[Sample] = made(default_factory=lambda: [Sample()])
    origin: Origin | None = None
    degraded: str | None = None
    guard: str | None = None
    field: str = "content"
    """Where approved replies go: `refusal` where JSON was asked for."""
    document: Mapping[str, Any] | None = None
    """A whole completion as an upstream sent it, while nothing in it had to be replaced."""

    _spent: dict[int, tuple[int, int, float | None]] = made(default_factory=dict)
    """By request: tokens in and out, and their price."""

    @property
    def text(self) -> str:
        """The decision's reply."""
        return self.samples[0].text

    def sample(self, index: int) -> Sample:
        """Return one of the replies, making room for it."""
        while len(self.samples) <= index:
            self.samples.append(Sample())
        return self.samples[index]

    def hear(self, delta: Delta) -> None:
        """Take in what an engine wrote."""
        if delta.chunk is not None:
            self._hear_chunk(delta)
            return
        sample = self.sample(delta.index)
        finish = {None: None, "length": "length"}.get(delta.finish, "stop")
        sample.hear({"content": delta.text}, finish)
        sample.tokens_out = delta.tokens_out
        self.usage.tokens_in = delta.tokens_in
        self.usage.tokens_out = sum(sample.tokens_out for sample in self.samples)

    def fall_back(self, index: int, text: str, *, reason: str) -> None:
        """Say an approved reply because the engine did not answer."""
        self.sample(index).say(text)
        self.degraded, self.document = reason, None
        if index == 0:
            self.origin, self.delivered = "fallback", "fallback"

    def replace(self, index: int, text: str, *, rule: str) -> None:
        """Say an approved reply in place of one that must not leave."""
        self.sample(index).say(text)
        self.guard, self.document = rule, None
        if index == 0:
            self.origin, self.delivered = "library", "guard_replaced"

    def said(self, sample: Sample) -> dict[str, str]:
        """One reply's text under the name it goes by."""
        return {self.field if sample.replaced else "content": sample.text}

    def cut_off(self, *, reason: str) -> None:
        """Note that a stream ended before it was whole: what was said is what has left."""
        first = self.samples[0]
        if not first.is_out:
            first.text, self.delivered, self.degraded = first.text[: first.left], "fallback", reason

    def choices(self) -> list[dict[str, Any]]:
        """All replies as OpenAI's choices."""
        return [
            {
                "index": index,
                "message": {"role": "assistant", "content": None, **self.said(sample)},
                "finish_reason": sample.finish or "stop",
            }
            for index, sample in enumerate(self.samples)
        ]

    def _hear_chunk(self, delta: Delta) -> None:
        chunk = delta.chunk or {}
        for choice in chunk["choices"]:
            whole = choice.get("message")
            said = whole or choice.get("delta") or {}
            self.sample(choice.get("index", 0)).hear(said, choice.get("finish_reason"))
            if whole and delta.index == 0:
                self.document = chunk
        if delta.tokens_in or delta.tokens_out:
            self._spent[delta.index] = (delta.tokens_in, delta.tokens_out, delta.cost)
        spent = self._spent.values()
        self.usage.known = bool(spent)
        self.usage.tokens_in = sum(tokens_in for tokens_in, _, _ in spent)
        self.usage.tokens_out = sum(tokens_out for _, tokens_out, _ in spent)
        costs = [cost for _, _, cost in spent if cost is not None]
        self.usage.cost = sum(costs) if costs else None
        if self.samples[0].calls_tool and self.delivered != "structured":
            self.delivered = "tool_call"
