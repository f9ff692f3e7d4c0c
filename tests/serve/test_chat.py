"""OpenAI's wire format as clients use it, with the built-in engine."""

import json

import pytest


def ask(graph, **fields):
    return graph.chat(**{"max_tokens": 6, "rapport::mode": "arm_first", **fields})


def chunks_of(answer):
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@pytest.mark.parametrize("mode", ["observe", "arm_first", "control"])
def test_further_samples_stand_beside_the_decisions_reply(local, mode):
    body = ask(local, n=3, seed=3, **{"rapport::mode": mode}).json()
    assert [c["index"] for c in body["choices"]] == [0, 1, 2]
    said = [c["message"]["content"] for c in body["choices"]]
    row = local.store.decision(body["rapport"]["decision_id"])
    taken = row["candidates"][row["action_index"]]
    assert mode == "observe" or taken["text"] == said[0]
    assert row["tokens_out"] == body["usage"]["completion_tokens"]


def test_a_stream_of_several_samples_says_what_a_whole_answer_says(local):
    fields = {"n": 2, "seed": 5, "rapport::mode": "observe"}
    whole = [c["message"]["content"] for c in ask(local, **fields).json()["choices"]]
    said, ends, roles = ["", ""], [None, None], [None, None]
    for chunk in chunks_of(ask(local, stream=True, **fields)):
        for choice in chunk["choices"]:
            index = choice["index"]
            said[index] += choice["delta"].get("content", "")
            roles[index] = choice["delta"].get("role", roles[index])
            ends[index] = choice["finish_reason"] or ends[index]
    assert said == whole
    assert roles == ["assistant"] * 2
    assert None not in ends


def test_a_streams_decision_is_whole_once_it_has_ended(local):
    usage = {"include_usage": True}
    chunks = chunks_of(
        ask(local, stream=True, stream_options=usage, **{"rapport::mode": "control"})
    )
    assert chunks[-1]["choices"] == []
    first, last = (c["rapport"] for c in chunks if "rapport" in c)
    row = local.store.decision(first["decision_id"])
    assert row["tokens_out"] == chunks[-1]["usage"]["completion_tokens"] > 0
    assert row["delivered"] == last["delivered"]


def test_a_stop_text_ends_the_reply_and_is_no_part_of_it(local):
    free = ask(local, max_tokens=12, seed=1, **{"rapport::mode": "observe"}).json()
    said = free["choices"][0]["message"]["content"]
    assert free["choices"][0]["finish_reason"] == "length"
    stopped = ask(
        local, max_tokens=12, seed=1, stop=said[3:5], **{"rapport::mode": "observe"}
    ).json()
    assert said[3:5] not in stopped["choices"][0]["message"]["content"]
    assert stopped["choices"][0]["finish_reason"] == "stop"
