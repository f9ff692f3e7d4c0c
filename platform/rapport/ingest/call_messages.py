"""Messages of logged model calls, in whichever of their shapes, as `{role, content, tool_calls}`.

Understood are texts; OpenAI's messages and choices; parts as OpenTelemetry's GenAI conventions have
them; content blocks as TensorZero and Anthropic have them; and any of these written as JSON text.
What a model only thought was not said, and is left out.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rapport.errors import RowError

_NAMES = {"human": "user", "ai": "assistant", "model": "assistant"}
"""Roles as some clients call them."""
_TEXTS = ("text", "input_text", "output_text", "raw_text", "template")
_CALLS = ("tool_call", "tool_use", "function_call")
_RESULTS = ("tool_call_response", "tool_result")
_THOUGHTS = ("thought", "reasoning", "thinking", "unknown")
_SHOWN = 12

Message = dict[str, Any]


def parsed(given: object) -> object:
    """A value, or what JSON text holds; other texts as they are, the empty one as none."""
    if not isinstance(given, str):
        return given
    if given.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            return given
    return given if given.strip() else None


def messages_of(given: object, *, role: str, where: str) -> list[Message]:
    """Messages of what went in or came out; one message where it is a text or parts of one.

    Args:
        given: As `parsed` gives it.
        role: Whose a message is that does not say.
        where: Field, for errors.

    Raises:
        RowError: It holds no messages, or one that cannot be read.
    """
    if isinstance(given, str):
        return [{"role": role, "content": given}]
    if isinstance(given, Mapping):
        return _of_object(given, role=role, where=where)
    if not isinstance(given, list) or not given:
        raise RowError(where, "holds no messages")
    if all(isinstance(one, Mapping) and "role" not in one and _kind(one) for one in given):
        return [_message({"content": given}, role=role, where=where)]
    return [_message(one, role=role, where=f"{where}[{i}]") for i, one in enumerate(given)]


def _of_object(given: Mapping[str, Any], *, role: str, where: str) -> list[Message]:
    if isinstance(given.get("messages"), list):
        if not given["messages"]:
            raise RowError(where, "holds no messages")
        return messages_of(given["messages"], role=role, where=f"{where}.messages")
    choices = given.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return messages_of(choices[0].get("message"), role=role, where=f"{where}.choices[0]")
    if not given.keys() & {"content", "parts", "tool_calls", "function_call"}:
        raise RowError(where, "holds no messages")
    return [_message(given, role=role, where=where)]


def _message(given: object, *, role: str, where: str) -> Message:
    if not isinstance(given, Mapping):
        raise RowError(where, "is not an object")
    kind = str(given.get("type"))
    named = given.get("role", kind if kind in _NAMES else None)
    stated = _NAMES.get(str(named), named) or role
    content = given.get("parts", given.get("content"))
    calls = given.get("tool_calls") or given.get("function_call") or None
    if isinstance(content, list):
        parts = [_part(one, where=f"{where}.content[{i}]") for i, one in enumerate(content)]
        if parts and all(kind in _RESULTS for kind, _ in parts):
            stated = "tool"
        calls = calls or [said for kind, said in parts if kind in _CALLS] or None
        content = "\n".join(said for kind, said in parts if kind not in _CALLS and said) or None
    found = {"role": stated, "content": content, "tool_calls": calls}
    return {name: value for name, value in found.items() if value is not None}


def _kind(part: Mapping[str, Any]) -> str:
    """What a part is; a text may leave it out."""
    kind = str(part.get("type", "text" if "text" in part else ""))
    return "" if kind in _NAMES else kind


def _part(given: object, *, where: str) -> tuple[str, str]:
    """Kind of a part of a message, and its text."""
    if isinstance(given, str):
        return "text", given
    if not isinstance(given, Mapping):
        raise RowError(where, "is neither text nor an object")
    kind = _kind(given)
    if kind in _THOUGHTS:
        return kind, ""
    if kind in _CALLS:
        told = {name: given.get(name) for name in ("name", "arguments", "input") if given.get(name)}
        return kind, json.dumps(told, sort_keys=True, default=str)
    if kind in _RESULTS:
        return kind, _text(next(_values(given, ("response", "result", "content")), ""))
    if kind not in _TEXTS:
        return kind, f"[{kind[:_SHOWN]}]"
    said = next(_values(given, ("text", "content", "value", "arguments")), None)
    if isinstance(said, Mapping):  # the words that fill a template
        said = "\n".join(word for word in said.values() if isinstance(word, str))
    if not isinstance(said, str):
        raise RowError(where, "is not text")
    return kind, said


def _values(part: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Any]:
    return (part[name] for name in names if part.get(name) is not None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
