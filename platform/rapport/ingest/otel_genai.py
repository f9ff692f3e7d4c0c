"""Format `otel-genai`: spans of OpenTelemetry's semantic conventions for generative AI.

OTLP as JSON, one `resourceSpans` or `resourceLogs` object a line, as the file exporter writes it
(`.jsonl`, `.ndjson`, `.json`), `.gz` and `.zst` too; or one span a line.
https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/

- A span of operation `chat`, `generate_content` or `text_completion` is a call. Its content stands
  in `gen_ai.input.messages` and `gen_ai.output.messages`, as an object or as JSON text, on the span
  or on an event `gen_ai.client.inference.operation.details`; older instrumentations write
  `gen_ai.prompt.<n>.content` and `gen_ai.completion.<n>.content`, or events that are called
  `gen_ai.content.prompt`, `gen_ai.user.message`, `gen_ai.choice` and the like. Events may lie in
  log records: give them together with the spans, which say whose they are.
- `gen_ai.conversation.id` (or `session.id`) is the conversation; without one, every trace is one of
  its own. `user.id` or `enduser.id` is the user. Other fields by `--mapping`, from the attributes
  of span and resource (`age_band: app.age_band`).
- An event `gen_ai.evaluation.result`, of a span or in `resourceLogs`, is feedback on its span.

Other spans (tools, agents, embeddings), failed calls, calls without content (instrumentations
record it only where told to) and attempts that were made again in a trace are left out and counted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.call_log import call_batches, records_of
from rapport.ingest.call_messages import messages_of, parsed
from rapport.ingest.calls import Bad, Call, Context, Entry, Left, Verdict, owner_of
from rapport.ingest.fields import MISSING, Record, identifier, moment, needed, real, text
from rapport.ingest.otlp import Item, items
from rapport.ingest.quarantine import dumped
from rapport.ingest.sources import sources

SOURCE = "otel-genai"
ENDINGS = (".jsonl", ".ndjson", ".json")
_OPENING = re.compile(r'\{\s*"(?:resource_?[sS]pans|resource_?[lL]ogs|trace_?[iI]d|name)"\s*:')
_CHATS = ("chat", "generate_content", "text_completion", "completion")
_DETAILS = "gen_ai.client.inference.operation.details"
_EVALUATION = "gen_ai.evaluation.result"
_CHOICE = "gen_ai.choice"
_INDEXED = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(role|content)")
_SPOKEN = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_PLAIN = re.compile(r"[a-z_]{1,40}")
_USERS = ("user.id", "enduser.id", "enduser.pseudo.id")
_SESSIONS = ("conversation_id", "gen_ai.conversation.id", "session.id")
_FAILED = (2, "2", "STATUS_CODE_ERROR", "ERROR")


def read_otel_genai(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read spans batch by batch; raises as `sources` and `call_batches` do."""
    files = sources(places, endings=ENDINGS)
    return call_batches(records_of(files, _OPENING), entries, intake, source=SOURCE)


def entries(record: Mapping[str, Any], intake: Intake) -> Iterator[Entry]:
    """What one line says."""
    try:
        found = list(items(record))
    except RowError as error:
        yield Bad(error, dumped({"names": sorted(record)}))
        return
    for one in _gathered(found):
        if one.name == _EVALUATION:
            yield _evaluation(one)
            continue
        try:
            yield from _read(one, intake)
        except RowError as error:
            yield Bad(error, dumped(_shown(one, intake)))
        yield from (_evaluation(event) for event in one.events if event.name == _EVALUATION)


def _gathered(found: Sequence[Item]) -> Iterator[Item]:
    """Spans, and log records that hold something: those with a span's messages as one item."""
    spoken: dict[str, list[Item]] = {}
    for one in found:
        if one.is_span or one.name in (_DETAILS, _EVALUATION):
            yield one
        elif one.name == _CHOICE or _SPOKEN.fullmatch(one.name):
            spoken.setdefault(one.span or "", []).append(one)
    for events in spoken.values():
        yield replace(events[-1], name="", body={}, events=tuple(events))


def _read(span: Item, intake: Intake) -> Iterator[Call | Context | Left]:
    told = {**span.attributes}
    for event in span.events:
        if event.name == _DETAILS:
            told |= event.attributes
    operation = text(told, "gen_ai.operation.name") or text(told, "llm.request.type")
    asked, answered = _content(told, span.events)
    if (operation or _CHATS[0]) not in _CHATS or (operation is None and asked is None):
        named = operation is not None and _PLAIN.fullmatch(operation)
        yield Left(operation if operation and named else "other span")
        return
    own = intake.mapping.applied({**told, "input": asked, "output": answered})
    user = next((told[name] for name in _USERS if told.get(name)), None)
    owner = {**({"user_id": user} if user else {}), **owner_of(own)}
    session = next((identifier(own, name) for name in _SESSIONS if own.get(name)), None)
    if own["input"] is None or own["output"] is None:
        failed = span.status in _FAILED or "error.type" in told
        yield Left("failed" if failed else "without content")
        if span.trace and (owner or session):  # the content may lie in log records
            yield Context(span.trace, {**owner, "session": session})
        return
    began = moment(span.times, "began", where="startTimeUnixNano")
    if began is None:
        raise RowError("startTimeUnixNano", MISSING)
    name = needed(span.span, "spanId")
    yield Call(
        id=name,
        request=span.trace or name,
        session=session,
        owner=owner,
        messages=messages_of(own["input"], role="user", where="input"),
        answer=messages_of(own["output"], role="assistant", where="output")[0],
        began=began,
        ended=moment(span.times, "ended", where="endTimeUnixNano") or began,
    )


def _content(told: Record, events: Sequence[Item]) -> tuple[object, object]:
    """What went into a call and what came out, from wherever it was recorded."""
    asked = parsed(told.get("gen_ai.input.messages"))
    answered = parsed(told.get("gen_ai.output.messages"))
    indexed: dict[str, dict[int, dict[str, Any]]] = {"prompt": {}, "completion": {}}
    for key, value in told.items():
        if (found := _INDEXED.fullmatch(key)) is not None:
            indexed[found[1]].setdefault(int(found[2]), {})[found[3]] = _blocks(value)
    spoken: dict[str, list[Any]] = {"prompt": [], "completion": []}
    for event in events:
        body = {**event.attributes, **event.body}
        if event.name in ("gen_ai.content.prompt", "gen_ai.content.completion"):
            side = event.name.rpartition(".")[2]
            spoken[side] = _listed(parsed(body.get(f"gen_ai.{side}")))
        elif event.name == _CHOICE:
            spoken["completion"].append(_worded(body, "assistant"))
        elif (found := _SPOKEN.fullmatch(event.name)) is not None:
            spoken["prompt"].append(_worded(body, found[1]))
    older = {side: [rows[i] for i in sorted(rows)] for side, rows in indexed.items()}
    return (
        asked or older["prompt"] or spoken["prompt"] or None,
        answered or older["completion"] or spoken["completion"] or None,
    )


def _listed(given: object) -> list[Any]:
    return given if isinstance(given, list) else [given] if given is not None else []


def _worded(body: Record, role: str) -> dict[str, Any]:
    """A message of an event: its body, or what its attributes hold of one."""
    inner = parsed(body.get("message"))
    held = inner if isinstance(inner, dict) else body
    content = held.get("content", held.get("gen_ai.event.content", body.get("message")))
    calls = held.get("tool_calls")
    return {"role": held.get("role", role), "content": _blocks(content), "tool_calls": calls}


def _blocks(content: object) -> object:
    """A content, or the blocks of one that were written as JSON text."""
    held = parsed(content)
    blocks = isinstance(held, list) and all(isinstance(b, dict) and "type" in b for b in held)
    return held if blocks else content


def _evaluation(event: Item) -> Verdict | Bad:
    told = event.attributes
    about = [("call", event.span), ("request", event.trace)]
    try:
        name = needed(text(told, "gen_ai.evaluation.name"), "gen_ai.evaluation.name")
        value = real(told, "gen_ai.evaluation.score.value")
        label = text(told, "gen_ai.evaluation.score.label")
        needed(event.span or event.trace, "spanId")
    except RowError as error:
        return Bad(error, dumped(told), "feedback")
    stated = tuple((kind, one) for kind, one in about if one)
    return Verdict(stated, name, value, label if value is None else None)


def _shown(span: Item, intake: Intake) -> dict[str, Any]:
    return {
        key: value
        for key, value in intake.mapping.shown(span.attributes).items()
        if key not in _USERS
    }
