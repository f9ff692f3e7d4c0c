"""Spans of the GenAI conventions, in the shapes that OTLP's file exporter writes them."""

import datetime as dt
import json

import pytest

from tests.unit.ingest.exports import an_otlp_line, as_jsonl, typed


@pytest.fixture
def spans(write, bring):
    """Ingest lines as one file."""
    return lambda *lines, **options: bring(
        "otel-genai", write("traces.jsonl", as_jsonl(lines)), **options
    )


def in_order(rows):
    return sorted(rows("turns"), key=lambda row: (row["conversation_id"], row["turn_index"]))


NO_CONTENT = {"gen_ai.input.messages": None, "gen_ai.output.messages": None}


def bare(*events, **attributes):
    """A chat span without messages of its own."""
    return an_otlp_line(attributes=NO_CONTENT | attributes, events=events)


def logged(*records):
    """A line of log records."""
    rows = [
        {"timeUnixNano": "1772359200000000000", "traceId": f"{1:032x}", "spanId": f"{1:016x}"} | one
        for one in records
    ]
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": rows}]}]}


def test_a_chat_becomes_turns_of_its_user_and_conversation(spans, rows):
    counts = spans(*(an_otlp_line(n) for n in range(4)))
    turns = in_order(rows)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 4
    assert turns[1]["ts"] == dt.datetime(2026, 3, 1, 10, 0, 2, tzinfo=dt.UTC)
    assert len({turn["user_id"] for turn in turns}) == 1
    assert (counts["calls"], counts["calls_without_user"], counts["left_out"]) == (4, 0, {})


def structured(given):
    """A value as OTLP types it."""
    if isinstance(given, str):
        return {"stringValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [structured(one) for one in given]}}
    pairs = [{"key": key, "value": structured(value)} for key, value in given.items()]
    return {"kvlistValue": {"values": pairs}}


def test_structured_content_is_read_as_json_text_is(spans, rows):
    line = an_otlp_line()
    held = line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    for one in held:
        if one["key"].endswith("messages"):
            one["value"] = structured(json.loads(one["value"]["stringValue"]))
    spans(an_otlp_line())
    before = rows("turns")
    spans(line)
    assert rows("turns") == before


OLDER = {
    "indexed attributes": bare(
        **{
            "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be kind.",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "It hurts.",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Where?",
        }
    ),
    "content events": bare(
        ("gen_ai.content.prompt",
         {"gen_ai.prompt": json.dumps([{"role": "user", "content": "It hurts."}])}),
        ("gen_ai.content.completion",
         {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "Where?"}])}),
    ),
    "message events": bare(
        ("gen_ai.user.message", {"content": "It hurts."}),
        ("gen_ai.choice", {"message": json.dumps({"content": "Where?"})}),
    ),
    "the details event": bare(
        ("gen_ai.client.inference.operation.details",
         {"gen_ai.input.messages": json.dumps([{"role": "user", "content": "It hurts."}]),
          "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "Where?"}])}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OLDER)
def test_older_ways_to_record_content_are_read_too(name, spans, rows):
    spans(OLDER[name])
    assert [turn["text"] for turn in in_order(rows)] == ["It hurts.", "Where?"]


def test_content_in_log_records_is_joined_with_its_span(spans, rows):
    asked = {"eventName": "gen_ai.user.message", "body": structured({"content": "It hurts."})}
    message = {"message": {"role": "assistant", "content": "Where?"}}
    chosen = {"eventName": "gen_ai.choice", "body": structured(message)}
    counts = spans(bare(), logged(asked, chosen, {"eventName": "other"}))
    turns = in_order(rows)
    assert [turn["text"] for turn in turns] == ["It hurts.", "Where?"]
    assert (counts["calls_without_user"], counts["calls_without_session"]) == (0, 0)
    assert counts["left_out"] == {"without content": 1}


def test_evaluations_are_feedback_on_their_span(spans, rows):
    rated = {"gen_ai.evaluation.name": "rating", "gen_ai.evaluation.score.value": 4.0}
    labelled = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "warm"}
    event = {"eventName": "gen_ai.evaluation.result"}
    counts = spans(
        an_otlp_line(events=[("gen_ai.evaluation.result", rated)]),
        logged({**event, "attributes": typed(labelled)}, {**event, "attributes": []}),
    )
    found = {row["metric_name"]: (row["value"], row["text"]) for row in rows("feedback")}
    assert found == {"rating": (4.0, None), "tone": (None, "warm")}
    assert counts["reasons"] == {"gen_ai.evaluation.name: is missing": 1}


def test_other_spans_failed_calls_and_calls_without_content_are_counted(spans):
    counts = spans(
        an_otlp_line(1, attributes={"gen_ai.operation.name": "execute_tool"}),
        an_otlp_line(2, attributes={"gen_ai.operation.name": "invoke_agent"}),
        an_otlp_line(3, attributes={**NO_CONTENT, "gen_ai.operation.name": None}),
        an_otlp_line(4, attributes=NO_CONTENT, status={"code": 2}),
        an_otlp_line(5, attributes=NO_CONTENT),
    )
    assert counts["left_out"] == {
        "execute_tool": 1, "invoke_agent": 1, "other span": 1, "failed": 1, "without content": 1,
    }  # fmt: skip


def test_a_bad_span_is_refused_alone_amid_its_line(spans, rows):
    line = an_otlp_line()
    bad = an_otlp_line(1, startTimeUnixNano=None)
    scope = line["resourceSpans"][0]["scopeSpans"][0]
    scope["spans"] += bad["resourceSpans"][0]["scopeSpans"][0]["spans"]
    counts = spans(line, {"hello": 1}, {"resourceSpans": 3})
    assert counts["reasons"] == {
        "startTimeUnixNano: is missing": 1,
        "resourceSpans: is missing, and so is resourceLogs: this is no line of OTLP": 1,
        "resourceSpans: is not a list of objects": 1,
    }
    assert len(rows("turns")) == 2
    assert all("user-0" not in (row["row"] or "") for row in rows("quarantine"))


def test_reasoning_is_not_said_and_a_template_speaks_by_its_words(spans, rows):
    parts = [
        {"type": "reasoning", "content": "He is in pain."},
        {"type": "text", "content": "Where?"},
    ]
    output = json.dumps([{"role": "assistant", "parts": parts, "finish_reason": "stop"}])
    spans(an_otlp_line(attributes={"gen_ai.output.messages": output}))
    assert in_order(rows)[-1]["text"] == "Where?"


def test_a_span_of_an_sdk_and_a_mapping_of_attributes(spans, rows, write):
    attributes = {
        "gen_ai.operation.name": "chat", "session.id": "s", "enduser.id": "ann", "app.age": "25-34",
        "gen_ai.input.messages": [{"role": "user", "content": "It hurts."}],
        "gen_ai.output.messages": [{"role": "assistant", "content": "Where?"}],
    }  # fmt: skip
    mapping = write("map.yaml", "age_band: app.age\n")
    spans(
        {
            "name": "chat m",
            "context": {"trace_id": "0x1", "span_id": "0x2"},
            "start_time": "2026-03-01T10:00:00.000000Z",
            "end_time": "2026-03-01T10:00:01.000000Z",
            "attributes": attributes,
        },
        mapping=mapping,
    )
    assert {dict(turn["groups"])["age_band"] for turn in rows("turns")} == {"25-34"}
