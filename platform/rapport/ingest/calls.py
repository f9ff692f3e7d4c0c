"""A model call as somebody's observability log tells it, and what was said of one.

Chats reach a model whole at every turn; of each call only what was new is taken: the messages
after the last one of the assistant, and the answer.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rapport.errors import RowError
from rapport.governance.feedback import TextMetric
from rapport.ingest.batch import Intake
from rapport.ingest.call_messages import Message
from rapport.ingest.chats import read_message, with_metadata
from rapport.ingest.fields import Record
from rapport.ingest.spoken import WHO, Opinion, Spoken, conversation_key, labels, who
from rapport.schema import content_id

CALL_FIELDS = (*WHO, "conversation_id", "topic", "goal", "task_id", "arm", "input", "output")
"""Fields of a call that a mapping may name."""


_OWNER = (*WHO, "topic", "goal", "task_id", "arm")


def owner_of(record: Record) -> dict[str, Any]:
    """Whose a record is and how it is labelled, as far as it or its `metadata` says."""
    told = with_metadata(record)
    return {name: told[name] for name in _OWNER if told.get(name) not in (None, "")}


@dataclass(frozen=True)
class Call:
    """One answer of a model."""

    id: str
    """The log's, unique in it."""
    request: str
    """What attempts and steps of the same request share; the call's own id where nothing does."""
    session: str | None
    """Name of the conversation, as far as the log has one."""
    owner: Record
    """Whose it is and how it is labelled, under our names."""
    messages: Sequence[Message]
    answer: Message
    began: dt.datetime
    ended: dt.datetime
    features: tuple[tuple[str, float], ...] = ()
    """Of the answer."""

    @property
    def asked(self) -> bytes:
        """What two attempts have in common."""
        said = json.dumps([self.request, self.messages], sort_keys=True, default=str)
        return hashlib.blake2b(said.encode(errors="replace"), digest_size=16).digest()

    def within(self, context: Mapping[str, Any]) -> "Call":
        """The same, with what the trace it belongs to says and it does not."""
        whose = {name: value for name, value in context.items() if name != "session"}
        session = self.session or context.get("session")
        return replace(self, session=session, owner={**whose, **self.owner})


@dataclass(frozen=True)
class Verdict:
    """What was said of a call, a request or a conversation."""

    about: tuple[tuple[str, str], ...]
    """Kind (`call`, `request`, `session`) and id of what it is about; the first there is counts."""
    metric: str
    value: float | None
    text: str | None = None


@dataclass(frozen=True)
class Context:
    """What a trace says of all its calls: `session`, and as `owner_of`."""

    request: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Left:
    """A record that holds no chat, left out."""

    why: str


@dataclass(frozen=True)
class Bad:
    """A record that should hold something, and cannot be read."""

    error: RowError
    shown: str
    table: str = "turns"


Entry = Call | Verdict | Context | Left | Bad


def turns_of(call: Call, intake: Intake, *, source: str) -> tuple[Spoken, ...]:
    """Turns of a call: what was new before its answer, and the answer, last.

    Raises:
        RowError: A field is missing or not what it must be.
    """
    owner, told = who(call.owner, intake), labels(call.owner, intake)
    common = tuple(pair for pair in told if pair[0] != "arm")
    conversation = (
        conversation_key(intake.tenant, call.session)
        if call.session is not None
        else content_id(intake.tenant, source, "request", call.request)
    )
    said = []
    for place, message in _new(call.messages):
        read = read_message(message, intake, prefix=f"input[{place}].")
        if read.role != "system":
            identity = ("message", call.request, str(place), *read.turn.identity)
            said.append(replace(read.turn, identity=identity, ts=call.began, labels=common))
    answer = read_message(call.answer, intake, prefix="output.")
    if answer.role != "assistant":
        raise RowError("output.role", "is not the assistant's")
    reply = replace(
        answer.turn,
        identity=("reply", call.id),
        ts=max(call.began, call.ended),
        labels=told,
        features=call.features,
    )
    return tuple(
        replace(turn, conversation_id=conversation, who=owner, alone=True)
        for turn in (*said, reply)
    )


def opinion_of(verdict: Verdict, intake: Intake) -> tuple[Opinion, bool]:
    """A verdict under our names, and whether the tenant declared its metric.

    What he did not declare is kept under the name it has, and moves no reward.

    Raises:
        RowError: It is not what its metric may be, or says nothing.
    """
    name = intake.mapping.metrics.get(verdict.metric, verdict.metric)
    metric = intake.policy.declared().get(name)
    if metric is None:
        if verdict.value is None and verdict.text is None:
            raise RowError(name, "has no value")
        return Opinion(name, verdict.value, verdict.text), False
    if isinstance(metric, TextMetric):
        if verdict.text is None:
            raise RowError(name, "has no text")
        return Opinion(name, None, verdict.text), True
    if verdict.value is None or not metric.taken(verdict.value):
        raise RowError(name, f"is not {metric.expects()}")
    return Opinion(name, verdict.value, None, metric.sentiment(verdict.value)), True


def _new(messages: Sequence[Message]) -> list[tuple[int, Message]]:
    """Messages after the last one of the assistant, with their places."""
    spoken = [place for place, one in enumerate(messages) if one.get("role") == "assistant"]
    first = spoken[-1] + 1 if spoken else 0
    return list(enumerate(messages))[first:]
