import asyncio
import json

import pytest

from serve.answer import Answer, Usage


def an_answer(pieces=("Hello", " you"), **block):
    async def said():
        for piece in pieces:
            yield piece

    full = {"decision_id": "d", "persona_id": None, "policy_version": "r", "delivered": "full"}
    usage = Usage(tokens_in=5, tokens_out=2, finish="length")
    return Answer("d", "rapport", lambda: full | block, said(), usage)


async def gathered(answer, **options):
    return [event async for event in answer.events(**options)]


def test_a_completion_carries_text_usage_and_our_block():
    body = asyncio.run(an_answer().completion())
    assert body["choices"][0]["message"]["content"] == "Hello you"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 7
    assert body["rapport"]["decision_id"] == "d"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_starts_with_the_ids_and_ends_with_done(include_usage):
    events = asyncio.run(gathered(an_answer(), include_usage=include_usage))
    assert events[-1] == "data: [DONE]\n\n"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert chunks[0]["rapport"]["decision_id"] == "d"
    said = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
    assert "".join(said) == "Hello you"
    assert ("usage" in chunks[-1]) is include_usage


def test_headers_name_what_is_known():
    headers = an_answer().headers()
    assert headers == {"x-rapport-decision-id": "d", "x-rapport-policy": "r"}
