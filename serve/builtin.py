"""What the built-in engine cannot do, said clearly instead of done half."""

from collections.abc import Mapping
from typing import Any

from rapport.errors import ServingError

from .wire import ChatRequest

MAX_SAMPLES = 8
MAX_TOKENS = 1024
_REMEDY = "leave it out, or attach an upstream (rapport serve --upstream URL --model M)"


def check_builtin(asked: ChatRequest) -> None:
    """Refuse what only an upstream can give.

    Raises:
        ServingError: Names the field and the remedy.
    """
    fields = asked.model_extra or {}
    for name in ("tools", "functions"):
        if fields.get(name):
            _refuse(name, "the built-in model calls no tools")
    if asked.turn == "structured":
        _refuse("response_format", "the built-in model writes text only")
    if fields.get("logprobs") or fields.get("top_logprobs"):
        _refuse("logprobs", "the built-in model gives none")
    if fields.get("audio") or fields.get("modalities") not in (None, ["text"]):
        _refuse("modalities", "the built-in model writes text only")
    for place, message in enumerate(asked.messages):
        if isinstance(message.content, list) and not all(map(_is_text, message.content)):
            _refuse(f"messages.{place}.content", "the built-in model reads text only")
    _check_bounds(asked)


def _check_bounds(asked: ChatRequest) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        if (getattr(asked, name) or 0) > MAX_TOKENS:
            raise ServingError(f"{name}: the built-in model writes at most {MAX_TOKENS}", name)
    if asked.n > MAX_SAMPLES:
        raise ServingError(f"n: the built-in model gives at most {MAX_SAMPLES}", "n")
    if "" in asked.stops:
        raise ServingError("stop: an empty text would end every reply; leave it out", "stop")


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") in (None, "text") and isinstance(part.get("text"), str)


def _refuse(field: str, why: str) -> None:
    raise ServingError(f"{field}: {why}; {_REMEDY}", field)
