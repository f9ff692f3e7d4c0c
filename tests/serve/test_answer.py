import asyncio
import json

import pytest

from serve.answer import Answer
from serve.holding import choice
from serve.speech import Speech


def an_answer(batches=(), *, texts=("Hello you",), **block):
    async def said():
        for batch in batches:
            yield batch

    speech = Speech(delivered="full")
    for index, text in enumerate(texts):
        speech.sample(index).hear({"content": text}, "length")
    speech.usage.tokens_in, speech.usage.tokens_out = 5, 2
    full = {"decision_id": "d", "persona_id": None, "policy_version": "r", "delivered": "full"}
    return Answer("d", "rapport", lambda: full | block, speech, said())


def chunks_of(events):
    lines = "".join(events).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


async def gathered(answer, **options):
    return [event async for event in answer.events(**options)]


def test_a_completion_carries_texts_usage_and_our_block():
    body = asyncio.run(an_answer(texts=("Hello you", "Hi")).completion())
    assert [c["message"]["content"] for c in body["choices"]] == ["Hello you", "Hi"]
    assert [c["index"] for c in body["choices"]] == [0, 1]
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 7
    assert body["rapport"]["decision_id"] == "d"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_names_its_decision_first_and_as_it_ended(include_usage):
    batches = [
        [choice(0, {"role": "assistant", "content": ""})],
        [],
        [choice(0, {"content": "Hello"}), choice(0, {"content": " you"})],
        [choice(0, {}, finish="length")],
    ]
    events = asyncio.run(gathered(an_answer(batches), include_usage=include_usage))
    assert len(events) == 4 + include_usage  # what leaves together is sent together
    chunks = chunks_of(events)
    assert ["rapport" in chunk for chunk in chunks[:4]] == [True, False, False, True]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
    assert "".join(said) == "Hello you"
    assert ("usage" in chunks[-1]) is include_usage


def test_an_upstreams_words_win_over_ours():
    theirs = {**choice(0, {"content": "x"}), "id": "theirs", "system_fingerprint": "fp"}
    usage = {"choices": [], "usage": {"total_tokens": 9}}
    chunks = chunks_of(asyncio.run(gathered(an_answer([[theirs, usage]]), include_usage=True)))
    assert (chunks[0]["id"], chunks[0]["system_fingerprint"]) == ("theirs", "fp")
    assert [c["usage"] for c in chunks if "usage" in c] == [{"total_tokens": 9}]


def test_headers_name_what_is_known():
    headers = an_answer().headers()
    assert headers == {"x-rapport-decision-id": "d", "x-rapport-policy": "r"}
