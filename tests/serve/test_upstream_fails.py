"""The failure map's first row: an upstream that is slow, dead or wrong."""

import json
import time
from contextlib import contextmanager

import pytest

from rapport.arms import load_menu
from tests.serve.other_server import CALL, KEY, REPLY

APPROVED = {reply for arm in load_menu("emotional_support").arms for reply in arm.replies}
CALL_NOW = {"tools": [{"type": "function"}], "tool_choice": "required"}
DEADLINE_S = 3.0


def chunks_of(answer):
    lines = [line for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said_in(answer, stream):
    if not stream:
        return answer.json()["choices"][0]["message"]["content"]
    choices = [choice for chunk in chunks_of(answer) for choice in chunk["choices"]]
    assert choices[-1]["finish_reason"] == "stop"
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@contextmanager
def changed(graph, **settings):
    """The upstream with other settings for the length of a block."""
    upstream = graph.light.exchanges._saying._writer._upstream
    before = upstream.settings
    upstream.settings = before.model_copy(update=settings)
    try:
        yield
    finally:
        upstream.settings = before


def logged(graph, answer):
    return graph.store.decision(answer.headers["x-rapport-decision-id"])


def reply_of(graph, row):
    return graph.store.turns_of(row["episode_id"])[1]["text"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["observe", "arm_first", "rerank"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((503, {}, {}), "upstream:failing"),
        ((429, {}, {"retry-after": "60"}), "upstream:busy"),
    ],
)
def test_an_upstream_that_fails_is_answered_for(served, mode, stream, fault, reason):
    graph, other = served
    other.statuses = [fault] * 20
    answer = graph.chat(stream=stream, **{"rapport::mode": mode})
    row = logged(graph, answer)
    assert said_in(answer, stream) in APPROVED
    assert row["delivered"] == "fallback"
    expected = f"rerank:engine, {reason}" if mode == "rerank" else reason
    assert row["degraded"] == expected
    taken = row["candidates"][row["action_index"]]
    assert taken["origin"] == ("upstream" if mode == "observe" else "fallback")


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_upstream_is_given_up_at_the_deadline(served, stream):
    graph, other = served
    other.before_s = 30
    begun = time.monotonic()
    answer = graph.chat(stream=stream, **{"rapport::mode": "arm_first"})
    assert time.monotonic() - begun < DEADLINE_S + 2
    row = logged(graph, answer)
    assert said_in(answer, stream) in APPROVED
    assert (row["delivered"], row["degraded"]) == ("fallback", "upstream:slow")


@pytest.mark.parametrize(
    ("fault", "reason"), [("stall_after", "upstream:slow"), ("cut_after", "upstream:cut_off")]
)
def test_a_stream_that_breaks_off_goes_on_with_an_approved_reply(served, fault, reason):
    graph, other = served
    setattr(other, fault, 6)
    answer = graph.chat(stream=True, **{"rapport::mode": "arm_first"})
    said = said_in(answer, stream=True)
    left, _, instead = said.partition("\n\n")
    assert left == "That sounds hard. "
    assert instead in APPROVED
    row = logged(graph, answer)
    assert (row["delivered"], row["degraded"]) == ("fallback", reason)
    assert reply_of(graph, row) == said


def test_fewer_candidates_are_ranked_where_one_fails(served):
    graph, other = served
    other.statuses = [(500, {}, {})]
    with changed(graph, retries=0):
        row = logged(graph, graph.chat(**{"rapport::mode": "rerank"}))
    assert (row["mode"], row["delivered"]) == ("rerank", "full")
    assert row["degraded"].startswith("rerank:engine")
    assert [c["text"] for c in row["candidates"]] == [REPLY] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_where_a_tool_must_be_called_nothing_stands_in(served, stream):
    graph, other = served
    other.statuses = [(503, {}, {})] * 3
    before = graph.store.unfinished()
    answer = graph.chat(stream=stream, **CALL_NOW)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_unavailable"
    assert graph.store.unfinished() == before


def test_a_call_that_breaks_off_ends_in_an_error_and_not_in_words(served):
    graph, other = served
    other.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    other.cut_after = 2
    answer = graph.chat(stream=True, **CALL_NOW)
    last = chunks_of(answer)[-1]
    assert last["error"]["code"] == "upstream_unavailable"
    assert "[DONE]" not in answer.text
    row = logged(graph, answer)
    assert (row["delivered"], row["degraded"]) == ("fallback", "failed")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (401, "upstream_setup", "key"),
        (403, "upstream_setup", "key"),
        (404, "upstream_setup", "mod"),
    ],
)
def test_what_the_operator_must_mend_is_no_fault_of_the_client(served, status, code, word, stream):
    graph, other = served
    error = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
    other.statuses = [(status, error, {})]
    answer = graph.chat(stream=stream, **{"rapport::mode": "arm_first"})
    told = answer.json()["error"]
    assert (answer.status_code, told["code"]) == (503, code)
    assert word in told["message"]
    assert KEY not in answer.text
    assert len(other.bodies) == 1


def test_a_refused_request_names_the_field_and_not_what_was_in_it(served):
    graph, other = served
    error = {"code": "context_length_exceeded", "param": "messages", "message": "secret words"}
    other.statuses = [(400, {"error": error}, {})]
    answer = graph.chat(stream=True)
    told = answer.json()["error"]
    assert (answer.status_code, told["code"], told["param"]) == (
        400,
        "upstream_refused",
        "messages",
    )
    assert "context_length_exceeded" in told["message"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "fault", [(503, {}, {}), (429, {}, {"retry-after-ms": "50"}), (408, {}, {})]
)
def test_what_was_not_answered_is_asked_again(served, fault):
    graph, other = served
    other.statuses = [fault]
    answer = graph.chat(**{"rapport::mode": "arm_first"})
    assert logged(graph, answer)["degraded"] is None
    assert len(other.bodies) == 2


def test_a_dead_upstream_is_unreachable(served):
    graph, _ = served
    with changed(graph, url="http://127.0.0.1:9/v1"):
        row = logged(graph, graph.chat(**{"rapport::mode": "arm_first"}))
    assert (row["delivered"], row["degraded"]) == ("fallback", "upstream:unreachable")
