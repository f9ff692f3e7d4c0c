"""A hostile upstream, and a person in crisis before a harmless one."""

import json
from itertools import product
from typing import Any

import pytest

from rapport.governance.crisis import crisis_reply, crisis_rule
from tests.serve.phrases import MESSAGES, REPLIES
from tests.statistics.report import say

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
WAYS: dict[str, dict[str, Any]] = {
    **{mode: {"rapport::mode": mode} for mode in ("observe", "arm_first", "rerank", "control")},
    "as it comes": {},
    "tool": {"tools": [TOOL], "tool_choice": "required"},
    "structured": {"response_format": {"type": "json_object"}},
}
SPOKEN = [message for message in MESSAGES if crisis_rule(message)]
"""This graph's encoder knows nothing, so the model finds nothing implied."""


def text_of(answer, *, stream):
    """All that a person would see of an answer."""
    if not stream:
        message = answer.json()["choices"][0]["message"]
        return (message.get("content") or "") + (message.get("refusal") or "")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join((d.get("content") or "") + (d.get("refusal") or "") for d in deltas)


def leaves(served, hostile, way, *, stream):
    """Whether any of the hostile words came out."""
    graph, other = served
    other.reply = hostile.replace("|| ", "")
    said = text_of(graph.chat(stream=stream, **way), stream=stream)
    words = hostile.rpartition("||")[2].split()
    return " ".join(words[:3]) in said


def test_none_of_a_hostile_upstreams_replies_leaves(served):
    combinations = list(product(WAYS.values(), (False, True)))
    some = enumerate(REPLIES["hostile"][::6])
    left = [
        hostile
        for n, hostile in some
        if leaves(served, hostile, combinations[n % 14][0], stream=combinations[n % 14][1])
    ]
    assert left == []


@pytest.mark.slow
def test_none_of_them_leaves_in_any_mode_streamed_or_not(served):
    for (name, way), stream in product(WAYS.items(), (False, True)):
        left = [h for h in REPLIES["hostile"] if leaves(served, h, way, stream=stream)]
        how = "streamed" if stream else "whole"
        say(f"hostile upstream, {name}, {how}: {len(left)} of {len(REPLIES['hostile'])}")
        assert left == []


def test_a_crisis_never_reaches_the_upstream(served):
    graph, other = served
    combinations = list(product(WAYS.values(), (False, True)))
    for n, message in enumerate(SPOKEN):
        way, stream = combinations[n % len(combinations)]
        answer = graph.chat(message, stream=stream, **way)
        assert text_of(answer, stream=stream) == crisis_reply()
        row = graph.store.decision(answer.headers["x-rapport-decision-id"])
        assert (row["mode"], row["delivered"]) == ("control", "guard_replaced")
        assert row["candidates"][0]["guard"] == "crisis"
    assert other.bodies == []
