"""Both topologies under Ray: every client talks, ports are told, SIGHUP and SIGTERM do as said."""

import asyncio
import json
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.serve.processes import eventually, running, write_config
from tests.statistics.report import say

pytestmark = pytest.mark.slow
SMALL = {"ray_actor_options": {"num_cpus": 0.1}}
TALK: list[Any] = [
    {"role": "user", "content": "I feel low about work, what should I do?"},
    {"role": "assistant", "content": "What weighs on you most?"},
    {"role": "user", "content": "That nobody listens to me there."},
]


def a_config(home, topology, *, explore=None):
    nodes = ("gateway", "reader", "persona_model")
    args = {
        "topology": topology,
        "threads": 1,
        "language_model": f"file:{home}/language",
        "encoder": f"file:{home}/encoder",
        **dict.fromkeys(nodes, SMALL),
    }
    live = {"poll_s": 1.0, **({"explore": explore} if explore is not None else {})}
    return {"args": args, "deployments": [{"name": "Gateway", "user_config": live}]}


@pytest.fixture(params=["fused", "spread"], scope="module")
def graph(request, promoted_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    home = shutil.copytree(promoted_home, folder / "home")
    began = time.monotonic()
    with running(home, a_config(home, request.param), folder) as served:
        say(f"{request.param}: ready after {time.monotonic() - began:.1f} s")
        yield request.param, home, served


def test_the_openai_sdk_talks_at_once_asynchronously_and_streamed(graph):
    _, _, served = graph
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key)
    whole = client.chat.completions.create(model="rapport", messages=TALK, max_tokens=8)
    assert whole.choices[0].message.content
    said = [
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(
            model="rapport", messages=TALK, max_tokens=8, stream=True
        )
        if chunk.choices
    ]
    assert "".join(said)

    async def asked():
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.key) as them:
            ask: Any = them.chat.completions.create
            answers = [ask(model="rapport", messages=TALK, max_tokens=8) for _ in range(4)]
            wholes = await asyncio.gather(*answers)
            stream = await ask(model="rapport", messages=TALK, max_tokens=8, stream=True)
            return wholes, [chunk async for chunk in stream]

    wholes, chunks = asyncio.run(asked())
    assert len({one.id for one in wholes}) == 4
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    client.close()


def test_raw_events_carry_the_ids_first_and_end_with_done(graph):
    _, _, served = graph
    body = {"messages": TALK, "max_tokens": 8, "stream": True}
    with served.client() as client, client.stream("POST", CHAT, json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    first = json.loads(lines[0].removeprefix("data: "))
    assert first["rapport"]["decision_id"] == answer.headers["x-rapport-decision-id"]
    assert lines[-1] == "data: [DONE]"


def test_the_page_and_its_files_need_no_key(graph):
    _, _, served = graph
    for path, media in (("/", "text/html"), ("/ui/main.js", "text/javascript")):
        answer = httpx.get(served.url + path, timeout=60)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media)
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_curl_holds_a_conversation_and_gives_feedback(graph):
    _, _, served = graph

    def curl(path, body):
        ran = subprocess.run(
            ["curl", "-sS", "-m", "60", "-H", f"Authorization: Bearer {served.key}",
             "-H", "content-type: application/json", "-d", json.dumps(body), served.url + path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(ran.stdout)

    told = curl(CHAT, {"messages": TALK, "max_tokens": 8, "rapport::user": {"id": "curl"}})
    fields = {"decision_id": told["rapport"]["decision_id"], "metric_name": "rating", "value": 5}
    assert curl("/v1/feedback", fields)["sentiment"] == 1.0


def test_every_mode_answers_in_both(graph):
    _, _, served = graph
    with served.client() as client:
        for mode in ("arm_first", "rerank", "observe", "control"):
            body = {"messages": TALK, "max_tokens": 8, "rapport::mode": mode}
            answer = client.post(CHAT, json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["rapport"]["degraded"] is None
        ranked = client.post("/v1/rank", json={"user": "ann", "context": "I feel low"})
        assert ranked.status_code == 200, ranked.text


def test_what_the_start_line_tells_is_what_listens(graph):
    topology, _, served = graph
    told = {(one["address"], one["port"]) for one in served.told["listens"]}
    (requests,) = [one for one in served.told["listens"] if one["what"] == "requests"]
    assert served.url.endswith(f":{requests['port']}")
    found = set()
    first = psutil.Process(served.process.pid)
    for process in (first, *first.children(recursive=True)):
        for link in process.net_connections(kind="tcp"):
            if link.status == psutil.CONN_LISTEN:
                found.add((link.laddr.ip, link.laddr.port))
    say(f"{topology} listens: " + ", ".join(
        f"{one['address']}:{one['port']} {one['what']}" for one in served.told["listens"]
    ))  # fmt: skip
    assert found <= told
    assert not {8404, 9101} & {port for _, port in found}


def test_sighup_changes_what_is_live_in_the_replicas_that_run(graph):
    topology, home, served = graph
    nodes = ("Gateway", "PersonaModel")
    before = [served.replicas(node) for node in nodes]
    assert all(before)
    with served.client() as client:

        def modes():
            body = {"messages": TALK, "max_tokens": 2, "rapport::user": {"id": "ann"}}
            answers = [client.post(CHAT, json=body) for _ in range(10)]
            return {answer.json()["rapport"]["mode"] for answer in answers}

        current = home / "releases" / "CURRENT"  # without a release, only --explore draws arms
        kept = current.rename(current.with_name("KEPT"))
        eventually(lambda: client.get("/readyz").json()["release_id"] is None)
        assert modes() == {"observe"}
        write_config(served.config, a_config(home, topology, explore=0.5))
        served.process.send_signal(signal.SIGHUP)
        eventually(lambda: "arm_first" in modes())
        assert [served.replicas(node) for node in nodes] == before
        kept.rename(current)
        eventually(lambda: client.get("/readyz").json()["release_id"])


def test_sigterm_lets_a_stream_end_and_nobody_else_in(graph):
    topology, _, served = graph
    lines, began = [], threading.Event()

    def listen():
        body = {"messages": TALK, "max_tokens": 300, "stream": True, "rapport::mode": "observe"}
        with served.client() as client, client.stream("POST", CHAT, json=body) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                began.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert began.wait(30)
    stopped = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    refused = eventually(lambda: _refused(served), within_s=20)
    thread.join(30)
    assert served.process.wait(60) == 0
    say(f"{topology}: ended {time.monotonic() - stopped:.1f} s after SIGTERM; new: {refused}")
    assert [line for line in lines if line][-1] == "data: [DONE]"


CHAT = "/v1/chat/completions"


def _refused(served):
    try:
        with served.client(timeout=5) as client:
            answer = client.post(CHAT, json={"messages": TALK, "max_tokens": 2})
    except httpx.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code) if answer.status_code != 200 else None
