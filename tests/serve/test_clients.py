"""The same conversation by every client people use, with the built-in engine and an upstream."""

import asyncio
import http.client
import json
import shutil
import subprocess
from contextlib import suppress
from urllib.parse import urlsplit

import openai
import pytest

from tests.serve.light import SAID
from tests.serve.other_server import MODEL

MODES = ["observe", "arm_first", "rerank", "control"]
THEN = "And then?"
pytestmark = pytest.mark.parametrize("engine", ["local", "attached"])


@pytest.fixture
def graph(request, engine):
    found = request.getfixturevalue(engine)
    if engine == "local":
        return found
    return request.getfixturevalue("served")[0]


def asked(said, mode):
    extra = {"rapport::mode": mode, "rapport::user": {"id": f"client-{mode}"}}
    return {"messages": said, "model": "rapport", "max_tokens": 8, "extra_body": extra}


def user(text):
    return {"role": "user", "content": text}


def opened(graph, kind=openai.OpenAI):
    return kind(base_url=f"{graph.client.base_url}/v1", api_key=graph.key, max_retries=0)


def kept(graph, first, second):
    """Both decisions belong to one conversation, and its turns are what was said."""
    assert second["episode_id"] == first["episode_id"]
    for block in (first, second):
        assert graph.store.decision(block["decision_id"])["delivered"] == block["delivered"]


@pytest.mark.parametrize("mode", MODES)
def test_the_openai_sdk_holds_a_conversation(graph, mode):
    with opened(graph) as client:
        first = client.chat.completions.create(**asked([user(SAID)], mode))
        reply = first.choices[0].message
        said = [user(SAID), {"role": "assistant", "content": reply.content}, user(THEN)]
        second = client.chat.completions.create(**asked(said, mode))
    assert reply.content
    assert first.choices[0].finish_reason in ("stop", "length")
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    kept(graph, first.rapport, second.rapport)


@pytest.mark.parametrize("mode", MODES)
def test_the_async_sdk_streams_a_conversation(graph, mode):
    async def streamed(client, said):
        usage = {"include_usage": True}
        stream = await client.chat.completions.create(
            **asked(said, mode), stream=True, stream_options=usage
        )
        return [chunk async for chunk in stream]

    async def converse():
        async with opened(graph, openai.AsyncOpenAI) as client:
            first = await streamed(client, [user(SAID)])
            text = "".join(c.choices[0].delta.content or "" for c in first if c.choices)
            said = [user(SAID), {"role": "assistant", "content": text}, user(THEN)]
            return first, text, await streamed(client, said)

    first, text, second = asyncio.run(converse())
    assert text
    assert first[-1].usage is not None
    ends = [c.choices[0].finish_reason for c in first if c.choices]
    assert ends[-1] in ("stop", "length")
    assert {c.object for c in first} == {"chat.completion.chunk"}
    kept(graph, first[0].rapport, second[0].rapport)


def test_the_sdks_stream_helper_puts_a_reply_together(graph):
    said = ""
    with (
        opened(graph) as client,
        client.chat.completions.stream(**asked([user(SAID)], "observe")) as stream,
        suppress(openai.LengthFinishReasonError),  # the helper's own, at the end of a short reply
    ):
        for event in stream:
            said += event.delta if event.type == "content.delta" else ""
    assert said


def test_a_raw_reader_of_server_sent_events_gets_them_as_they_are(graph):
    where = urlsplit(str(graph.client.base_url))
    body = json.dumps({"messages": [user(SAID)], "stream": True, "max_tokens": 8})
    headers = {"Authorization": f"Bearer {graph.key}", "Content-Type": "application/json"}
    link = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    link.request("POST", "/v1/chat/completions", body=body, headers=headers)
    answer = link.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.read().decode().split("\n\n")
    link.close()
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    name = answer.headers["x-rapport-decision-id"]
    assert chunks[0]["rapport"]["decision_id"] == name


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("stream", [False, True])
def test_curl_is_answered(graph, stream):
    body = {"messages": [user(SAID)], "stream": stream, "max_tokens": 8, "user": "curl"}
    command = ["curl", "-sSN", "--max-time", "30", f"{graph.client.base_url}/v1/chat/completions"]
    command += ["-H", f"Authorization: Bearer {graph.key}", "-H", "Content-Type: application/json"]
    ran = subprocess.run(
        [*command, "-d", json.dumps(body)], capture_output=True, text=True, check=True
    )
    if stream:
        assert ran.stdout.endswith("data: [DONE]\n\n")
    else:
        assert json.loads(ran.stdout)["rapport"]["decision_id"]


def test_models_name_what_can_be_asked_for(graph, engine):
    with opened(graph) as client:
        names = [model.id for model in client.models.list()]
        assert names[0] == "rapport"
        assert (MODEL in names) is (engine == "attached")
        named = client.chat.completions.create(model=names[-1], messages=[user(SAID)], max_tokens=8)
        assert named.rapport["delivered"] in ("observed", "pinned")
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="gpt-9", messages=[user(SAID)])
    assert refused.value.param == "model"


def test_a_wrong_key_is_the_clients_own(graph):
    url = f"{graph.client.base_url}/v1"
    with (
        openai.OpenAI(base_url=url, api_key="rk_wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(model="rapport", messages=[user(SAID)])
