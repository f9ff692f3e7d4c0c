"""Somebody else's model behind the graph: what passes, what is added, what is logged."""

import json
from dataclasses import replace

import pytest

from tests.serve.other_server import CALL, KEY, MODEL, REPLY, USAGE

TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
SAID = "I feel low about work, what should I do?"
RAW = (
    '{ "model" : "%s", "temperature": 0.70, "messages": [{"role": "user", "content": "caf\\u00e9: '
    + SAID
    + '"}],\n "logit_bias": {"50256": -1e2}, "seed": 7%s }'
)


def post(graph, raw):
    headers = {"content-type": "application/json"}
    answer = graph.client.post("/v1/chat/completions", content=raw.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def events(answer):
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def stripped(body):
    return {name: value for name, value in body.items() if name != "rapport"}


def row_of(graph, body):
    return graph.store.decision(body["rapport"]["decision_id"])


@pytest.mark.parametrize("stream", ["", ', "stream": true'])
@pytest.mark.parametrize(
    ("more", "delivered"),
    [
        ("", "observed"),
        (f', "tools": {json.dumps(TOOLS)}, "tool_choice": "required"', "tool_call"),
        (', "tools": [], "tool_choice": {"type": "function", "function": {}}', "tool_call"),
        (', "response_format": {"type": "json_object"}', "structured"),
        (', "response_format":{"type":"json_schema","json_schema":{}}', "structured"),
    ],
)
def test_what_draws_no_arm_reaches_the_upstream_byte_for_byte(served, more, delivered, stream):
    graph, other = served
    asked = RAW % ("rapport", more + stream + ', "rapport::mode": "%s"')
    mode = "observe" if delivered == "observed" else "arm_first"
    answer = post(graph, asked % mode)
    assert other.bodies == [(RAW % (MODEL, more + stream)).encode()]
    assert other.headers[0]["authorization"] == f"Bearer {KEY}"
    name = answer.headers["x-rapport-decision-id"]
    row = graph.store.decision(name)
    assert row["delivered"] == delivered
    assert row["candidates"][row["action_index"]]["origin"] == "upstream"
    if delivered != "observed":
        assert [c["arm"] for c in row["candidates"]] == [None]
        assert row["propensity"] == 1.0


def test_a_reply_passes_unchanged_but_for_our_object(served):
    graph, other = served
    body = post(graph, RAW % ("rapport", ', "logprobs": true, "n": 2')).json()
    assert stripped(body) == other.completion({"n": 2})
    assert body["rapport"]["delivered"] == "observed"
    streamed = events(post(graph, RAW % ("rapport", ', "n": 2, "stream": true')))
    assert [stripped(chunk) for chunk in streamed] == other.chunks({"n": 2})
    row = row_of(graph, streamed[0])
    assert graph.store.turns_of(row["episode_id"])[1]["text"] == REPLY + " "


def test_our_block_stands_after_the_clients_system_text_and_nothing_else_changes(served):
    graph, other = served
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages = [
        {"role": "developer", "content": "You are Ada.", "name": "house"},
        {"role": "user", "content": [{"type": "text", "text": SAID}, image]},
    ]
    body = graph.chat(messages=messages, **{"rapport::mode": "arm_first"}).json()
    first, ours, last = other.last["messages"]
    assert (first, last) == (messages[0], messages[1])
    row = row_of(graph, body)
    arm = body["rapport"]["arm"]
    assert ours["role"] == "developer"
    assert ours["content"]
    assert f"[{arm}]" not in ours["content"]
    assert row["candidates"][row["action_index"]]["text"] == REPLY
    assert (row["delivered"], row["mode"]) == ("full", "arm_first")


def test_usage_and_cost_are_kept_in_the_decision(served):
    graph, other = served
    row = row_of(graph, graph.chat(**{"rapport::mode": "arm_first"}).json())
    counted = (row["tokens_in"], row["tokens_out"])
    assert counted == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert row["features"]["cost"] == pytest.approx((11 * 2.0 + 9 * 8.0) / 1e6)
    chunks = events(graph.chat(stream=True, **{"rapport::mode": "arm_first"}))
    assert other.last["stream_options"] == {"include_usage": True}
    assert not any("usage" in chunk for chunk in chunks)
    assert row_of(graph, chunks[0])["tokens_out"] == USAGE["completion_tokens"]


def test_usage_that_an_upstream_does_not_tell_is_unknown_and_not_nought(served):
    graph, other = served
    other.knows_usage = False
    chunks = events(graph.chat(stream=True, stream_options={"include_usage": True}))
    assert not any(chunk.get("usage") for chunk in chunks)
    row = row_of(graph, chunks[0])
    assert (row["tokens_in"], row["tokens_out"], row["features"].get("cost")) == (None, None, None)


def test_an_upstream_that_refuses_stream_options_is_asked_without_them(served):
    graph, other = served
    other.refuses = "stream_options"
    chunks = events(graph.chat(stream=True, **{"rapport::mode": "arm_first"}))
    assert "stream_options" not in other.last
    assert len(other.bodies) == 2
    row = row_of(graph, chunks[0])
    assert (row["delivered"], row["tokens_out"], row["degraded"]) == ("full", None, None)
    graph.light.exchanges._saying._writer._plain_streams = False


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_calls_a_tool_by_itself_trains_nothing(served, stream):
    graph, other = served
    other.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    fields = {"tools": TOOLS, "stream": stream, "rapport::mode": "arm_first"}
    answer = graph.chat(**fields)
    if stream:
        chunks = events(answer)
        calls = [c["choices"][0]["delta"].get("tool_calls") for c in chunks if c["choices"]]
        assert [call for call in calls if call] == [[{"index": 0, **CALL}]]
        blocks = [chunk["rapport"] for chunk in chunks if "rapport" in chunk]
        assert blocks[-1]["delivered"] == "tool_call"
        row = row_of(graph, chunks[0])
    else:
        body = answer.json()
        assert body["choices"][0]["message"]["tool_calls"] == [CALL]
        assert body["choices"][0]["finish_reason"] == "tool_calls"
        row = row_of(graph, body)
    assert (row["delivered"], row["degraded"]) == ("tool_call", None)
    assert [turn["role"] for turn in graph.store.turns_of(row["episode_id"])] == ["user"]


def test_words_beside_a_call_are_kept_as_no_arms(served):
    graph, other = served
    other.message = {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]}
    row = row_of(graph, graph.chat(tools=TOOLS, **{"rapport::mode": "arm_first"}).json())
    reply = graph.store.turns_of(row["episode_id"])[1]
    assert (row["delivered"], reply["text"], reply["arm"]) == ("tool_call", "Let me look.", None)


def test_a_tools_answer_goes_on_in_the_same_conversation_and_the_user_said_nothing_new(served):
    graph, other = served
    other.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    user = {"rapport::user": {"id": "tool-user"}}
    first = graph.chat(tools=TOOLS, **user).json()
    other.message = None
    messages = [
        {"role": "user", "content": SAID},
        first["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]
    second = graph.chat(messages=messages, tools=TOOLS, **user).json()
    assert second["rapport"]["episode_id"] == first["rapport"]["episode_id"]
    assert second["rapport"]["delivered"] == "tool_call"
    assert stripped(second)["choices"][0]["message"]["content"] == REPLY
    turns = graph.store.turns_of(first["rapport"]["episode_id"])
    assert [turn["role"] for turn in turns] == ["user", "assistant"]


def test_rerank_takes_candidates_from_the_upstream_and_says_that_nothing_scored_them(served):
    graph, other = served
    body = graph.chat(stream=True, n=2, temperature=0.3, **{"rapport::mode": "rerank"})
    row = row_of(graph, events(body)[0])
    alone = [json.loads(sent) for sent in other.bodies[:3]]
    assert [("n" in sent, "stream" in sent, sent["temperature"]) for sent in alone] == [
        (False, False, 0.3)
    ] * 3
    assert len({sent["messages"][0]["content"] for sent in alone}) == 3
    assert (row["mode"], row["degraded"]) == ("rerank", "rerank:unscored")
    assert {c["nlp_score"] for c in row["candidates"]} == {1.0}
    assert sum(c["probability"] for c in row["candidates"]) == pytest.approx(1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["observe", "arm_first", "rerank", "control"])
def test_a_hostile_reply_of_the_upstream_does_not_leave(served, mode, stream):
    graph, other = served
    other.reply = "I hear you. " + HARM
    answer = graph.chat(stream=stream, **{"rapport::mode": mode})
    assert HARM[:20] not in answer.text
    row = graph.store.decision(answer.headers["x-rapport-decision-id"])
    assert row["delivered"] == "guard_replaced"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fields", [{}, {"rapport::mode": "rerank"}, {"tool_choice": "required"}])
def test_a_crisis_never_reaches_the_upstream(served, fields, stream):
    graph, other = served
    answer = graph.chat("I am going to kill myself tonight", stream=stream, **fields)
    row = graph.store.decision(answer.headers["x-rapport-decision-id"])
    assert row["candidates"][0]["guard"] == "crisis"
    assert other.bodies == []


def test_ranking_a_clients_own_actions_asks_no_upstream_and_is_no_experiment_on_one(served):
    graph, other = served
    actions = [{"id": "a", "text": "What happened then?"}, {"id": "b", "text": "That is hard."}]
    asked = {"user": "ann", "context": SAID, "actions": actions}
    row = row_of(graph, graph.client.post("/v1/rank", json=asked).json())
    assert row["mode"] in ("rank", "control")
    assert other.bodies == []


def test_a_named_model_passes_unchanged_and_draws_no_arm(served):
    graph, other = served
    row = row_of(graph, post(graph, RAW % (MODEL, "")).json())
    assert other.bodies == [(RAW % (MODEL, "")).encode()]
    assert (row["mode"], len(row["candidates"])) == ("observe", 1)


def test_a_picture_without_words_passes_and_nothing_is_said_of_the_user(served):
    graph, other = served
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    body = graph.chat(messages=[{"role": "user", "content": [picture]}]).json()
    assert other.last["messages"][0]["content"] == [picture]
    row = row_of(graph, body)
    assert (row["delivered"], row["persona_id"]) == ("observed", None)
    assert [turn["role"] for turn in graph.store.turns_of(row["episode_id"])] == ["assistant"]


def test_json_that_must_not_leave_is_answered_by_a_refusal(served):
    graph, other = served
    other.reply = json.dumps({"advice": HARM})
    body = graph.chat(response_format={"type": "json_object"}).json()
    message = body["choices"][0]["message"]
    assert message["content"] is None
    assert message["refusal"]
    other.reply = json.dumps({"mail": "ann@example.org", "tags": ["a", "a", "a", "a", "a"]})
    body = graph.chat(response_format={"type": "json_object"}).json()
    assert body["choices"][0]["message"]["content"] == other.reply


HARM = "You should kill yourself tonight, nobody would miss you."


@pytest.mark.parametrize(
    ("mode", "explore", "made_for", "expected"),
    [
        (None, None, None, {"observe"}),
        (None, None, "another-model", {"observe"}),
        (None, None, MODEL, {"arm_first", "control"}),
        (None, 0.5, None, {"arm_first", "observe"}),
        ("arm_first", None, None, {"arm_first"}),
    ],
)
def test_nobody_is_experimented_on_with_an_upstream_that_no_release_was_made_for(
    served, mode, explore, made_for, expected
):
    graph, _ = served
    planner, bundles = graph.light.exchanges.planner, graph.light.exchanges.bundles
    before = bundles.now
    prompt = before.prompt.model_copy(update={"upstream_model": made_for})
    planner._mode, planner.explore, bundles.now = mode, explore, replace(before, prompt=prompt)
    try:
        modes = set()
        for number in range(240):  # one user in twenty is of the control group
            user = {"rapport::user": {"id": f"u{number}"}}
            modes.add(graph.chat(**user).json()["rapport"]["mode"])
            if number >= 59 and modes >= expected:
                break
    finally:
        planner._mode, planner.explore, bundles.now = None, None, before
    assert modes == expected


def test_a_release_says_how_much_of_ours_a_prompt_holds(served):
    graph, other = served
    bundles = graph.light.exchanges.bundles
    before, persona = bundles.now, bundles.now.personas[0]
    cards = {"few_shot": {}, "context": {persona: "They like it dry."}}
    for level, told in cards.items():
        prompt = before.prompt.model_copy(update={"level": level})
        bundles.now = replace(before, prompt=prompt, cards=told)
        try:
            graph.chat(model=f"rapport:{persona}", **{"rapport::mode": "arm_first"})
        finally:
            bundles.now = before
        block = other.last["messages"][0]["content"]
        assert block.count("Example: ") >= 5
        assert ("They like it dry." in block) is bool(told)
