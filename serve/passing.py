"""What goes on to an upstream: the client's own bytes, and what the plan changes on purpose."""

import json
from collections.abc import Sequence
from typing import Any

from rapport.arms import Arm
from rapport.language.engine import Wire
from rapport.language.prompts import Level, instructions
from rapport.language.splicing import spliced

from .wire import ChatRequest

_OURS = "rapport::"
_OF_THE_ANSWER = frozenset({"n", "stream", "stream_options"})


def passed_on(
    asked: ChatRequest,
    model: str,
    *,
    arm: Arm | None,
    about: Sequence[str] = (),
    level: Level = "role",
) -> Wire:
    """The client's request for an upstream.

    Without an arm it is byte for byte what came, but for the model's name and our own keys. With
    one, messages hold our block, and a stream is asked for the usage that decisions keep.
    """
    values: dict[str, Any] = {"model": model}
    if arm is None:
        return Wire(body=_written(asked, values), streamed=asked.stream)
    whole = json.loads(asked.raw)
    values["messages"] = instructions(whole["messages"], arm=arm, about=about, level=level)
    if not asked.stream or asked.stream_options.include_usage:
        return Wire(body=_written(asked, values), streamed=asked.stream)
    options = {**(whole.get("stream_options") or {}), "include_usage": True}
    plain = _written(asked, values)
    body = spliced(plain, values={"stream_options": options})
    return Wire(body=body, streamed=True, plain=plain)


def alone(wire: Wire, *, streamed: bool) -> Wire:
    """The same request for one reply alone: a candidate of `rerank`, or a further sample."""
    return Wire(
        body=spliced(
            wire.plain or wire.body,
            values={"stream": True} if streamed else {},
            without=_OF_THE_ANSWER.__contains__,
        ),
        streamed=streamed,
    )


def _written(asked: ChatRequest, values: dict[str, Any]) -> bytes:
    return spliced(asked.raw, values=values, without=lambda key: key.startswith(_OURS))
