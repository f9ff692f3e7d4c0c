"""One record of a chat export: a whole conversation, or one message of one.

A conversation is `{"messages": [{role, content}, ...]}`, as the chat and fine-tuning formats have
it; the answer of a stored completion (`choices[0].message`) is its last message. A message of its
own is `{role, content, conversation_id}`. Contents may be text or parts, of which the texts count;
an assistant that calls a tool and says nothing is a turn of kind `tool_call`.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rapport.errors import RowError
from rapport.ingest.batch import Intake
from rapport.ingest.fields import Record, identifier, moment, needed, text, whole
from rapport.ingest.spoken import (
    OPINIONS,
    WHO,
    Spoken,
    Who,
    conversation_key,
    labels,
    opinions,
    role_of,
    who,
)
from rapport.schema import content_id

SOURCE = "openai-jsonl"
MESSAGE = "message."
"""Prefix, in a mapping, of the fields of one message."""
_OF_MESSAGE = ("role", "content", "timestamp", "turn_index", "turn_id", *OPINIONS)
CHAT_FIELDS = (
    "messages", "conversation_id", "id", *WHO, "created", "topic", "goal", "task_id", *OPINIONS,
    "role", "content", "timestamp", "turn_index", "turn_id",
    *(MESSAGE + name for name in _OF_MESSAGE),
)  # fmt: skip
"""Fields of a record; those of a message in `messages` with the prefix."""
_TIMES = ("timestamp", "created", "created_at", "ts")
_TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_SHOWN = 12


@dataclass(frozen=True)
class Chat:
    """A record as turns, and what was refused of it alone."""

    turns: tuple[Spoken, ...]
    faults: tuple[tuple[RowError, str, Record], ...] = ()
    """Opinions: the fault, the metric, and the object that held it."""


def parse_chat(record: Record, intake: Intake) -> Chat:
    """Read a whole conversation.

    Raises:
        RowError: What makes it unusable: a field that is missing or not what it must be.
    """
    whose = with_metadata(record)
    owner = who(whose, intake)
    messages = [_message(one, i, intake) for i, one in enumerate(_messages(record))]
    spoken = [one for one in messages if one.role != "system"]
    if not spoken:
        raise RowError("messages", "hold nothing that was said")
    conversation = _conversation_id(record, spoken, owner, tenant=intake.tenant)
    closing, faults = opinions(record)
    began, common = _time(record, where="created"), labels(record, intake)
    turns = [
        replace(
            one.turn,
            conversation_id=conversation,
            identity=(str(index), *one.turn.identity),
            who=owner,
            index=index,
            began=began,
            labels=common + one.turn.labels,
        )
        for index, one in enumerate(spoken)
    ]
    turns[-1] = replace(turns[-1], closing=closing)
    bad = [(error, metric, record) for error, metric in faults]
    bad += [(error, metric, one.record) for one in spoken for error, metric in one.faults]
    return Chat(tuple(turns), tuple(bad))


def parse_message(record: Record, intake: Intake) -> Chat:
    """Read one message that names its conversation.

    Raises:
        RowError: What makes it unusable.
    """
    one = read_message(record, intake, prefix="")
    name = needed(identifier(record, "conversation_id"), "conversation_id")
    own = identifier(record, "turn_id") or identifier(record, "id")
    index, ts = whole(record, "turn_index"), one.turn.ts
    owner = who(with_metadata(record), intake)
    if one.role == "system":
        return Chat(())
    place = own or (str(index) if index is not None else ts.isoformat() if ts else "")
    turn = replace(
        one.turn,
        conversation_id=conversation_key(intake.tenant, name),
        identity=(place, *one.turn.identity),
        who=owner,
        index=index,
        labels=labels(record, intake),
        alone=True,
    )
    return Chat((turn,), tuple((error, metric, record) for error, metric in one.faults))


@dataclass(frozen=True)
class Message:
    """One message, checked."""

    role: str
    turn: Spoken
    """What it is as a turn, but for its conversation, place and owner."""
    record: Record
    faults: tuple[tuple[RowError, str], ...]
    """Opinions it holds that cannot be."""


def _messages(record: Record) -> list[Any]:
    given = record.get("messages")
    if given is None:
        raise RowError("messages", "is missing")
    if not isinstance(given, list):
        raise RowError("messages", "is not a list")
    answer = _answer(record.get("choices"))
    messages = [*given, answer] if answer else list(given)
    if not messages:
        raise RowError("messages", "has no messages")
    return messages


def _answer(choices: object) -> Mapping[str, Any] | None:
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return message if isinstance(message, dict) else None


def _message(given: object, place: int, intake: Intake) -> Message:
    where = f"messages[{place}]"
    if not isinstance(given, dict):
        raise RowError(where, "is not an object")
    record = intake.mapping.within(MESSAGE).applied(given)
    return read_message(record, intake, prefix=f"{where}.")


def read_message(record: Record, intake: Intake, *, prefix: str) -> Message:
    """Read `{role, content, tool_calls?}`; `prefix` names in errors where it stands.

    Raises:
        RowError: A field is missing or not what it must be.
    """
    role = role_of(record, intake, where=f"{prefix}role")
    said = _content(record.get("content"), where=f"{prefix}content")
    calls = record.get("tool_calls") or record.get("function_call")
    if said is None and not calls and role != "system":
        raise RowError(f"{prefix}content", "is missing")
    good, bad = opinions(record, prefix=prefix)
    identity = said if said is not None else json.dumps(calls, sort_keys=True, default=str)
    turn = Spoken(
        conversation_id="",
        identity=(role, identity),
        who=Who(),
        role=role,
        text=said,
        kind=_kind(role, said),
        ts=_time(record, where=f"{prefix}timestamp"),
        labels=labels(record, intake) if prefix else (),
        opinions=good,
    )
    return Message(role, turn, record, bad)


def _kind(role: str, said: str | None) -> str:
    if role == "tool":
        return "tool_result"
    return "message" if said is not None else "tool_call"


def _content(given: object, *, where: str) -> str | None:
    """Text of a content; parts that are no text (images, sound, files) are left out."""
    if not isinstance(given, list):
        return text({"content": given}, "content", where=where)
    texts = []
    for place, part in enumerate(given):
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, dict):
            raise RowError(f"{where}[{place}]", "is neither text nor an object")
        elif part.get("type") in _TEXT_PARTS:
            key = _TEXT_PARTS[part["type"]]
            texts.append(text(part, key, where=f"{where}[{place}].{key}") or "")
        else:
            texts.append(f"[{str(part.get('type'))[:_SHOWN]}]")
    return "\n".join(one for one in texts if one) or None


def _time(record: Record, *, where: str) -> dt.datetime | None:
    name = next((name for name in _TIMES if record.get(name) is not None), None)
    return moment(record, name, where=where) if name else None


def with_metadata(record: Record) -> Record:
    """A record with what its `metadata` says of the user, where it does not say so itself."""
    inside = record.get("metadata")
    given = inside if isinstance(inside, dict) else {}
    told = {key: given[key] for key in (*WHO, "user") if given.get(key) is not None}
    own = {key: value for key, value in record.items() if value is not None}
    if own.get("user_id") is None and own.get("user") is None and own.get("safety_identifier"):
        own["user_id"] = own["safety_identifier"]
    return {**told, **own}


def _conversation_id(record: Record, spoken: Sequence[Message], owner: Who, *, tenant: str) -> str:
    """Id of a conversation: of its name, else of its record's id and opening, else of all of it.

    Files number their records anew, so an id alone does not say that two are the same.
    """
    name = identifier(record, "conversation_id")
    if name is not None:
        return conversation_key(tenant, name)
    own = identifier(record, "id")
    if own is not None:
        return content_id(tenant, SOURCE, own, owner.user_id, *spoken[0].turn.identity)
    said: list[object] = [[*one.turn.identity, str(one.turn.ts or "")] for one in spoken]
    return content_id(tenant, SOURCE, owner.user_id, json.dumps(said))
