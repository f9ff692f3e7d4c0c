"""`rapport serve --upstream` as people start it, against a second server, under Ray."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest

from rapport.cli.serving import serve_command, served
from tests.serve.other_server import KEY, MODEL, REPLY, other_server
from tests.statistics.report import say

pytestmark = pytest.mark.slow
SPREAD = Path(__file__).parents[2] / "serve" / "config.smoke.yaml"
HELLO = [{"role": "user", "content": "I feel low about work, what should I do?"}]


@pytest.fixture(scope="module", params=["fused", "spread"])
def attached(request, tmp_path_factory):
    with other_server() as other, pytest.MonkeyPatch.context() as patch:
        patch.setenv("THEIR_KEY", KEY)
        flags = {"upstream": other.url, "model": MODEL, "key-env": "THEIR_KEY"}
        flags |= {"config": str(SPREAD)} if request.param == "spread" else {}
        home = tmp_path_factory.mktemp("attached") / "home"
        with served(home, deadline_s=240, flags=flags) as ready:
            yield openai.OpenAI(base_url=f"{ready['url']}/v1", api_key=ready["key"]), other


def test_the_same_chat_goes_through_a_second_server(attached):
    client, other = attached
    whole = client.chat.completions.create(model="rapport", messages=HELLO)
    assert whole.choices[0].message.content == REPLY
    assert (whole.rapport["mode"], whole.rapport["delivered"]) == ("observe", "observed")
    assert json.loads(other.bodies[-1]) == {"model": MODEL, "messages": HELLO}
    assert other.headers[-1]["authorization"] == f"Bearer {KEY}"
    arm = {"rapport::mode": "arm_first"}
    chunks = list(
        client.chat.completions.create(model="rapport", messages=HELLO, stream=True, extra_body=arm)
    )
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said.strip() == REPLY
    assert other.last["messages"][1] == HELLO[0]
    names = [model.id for model in client.models.list()]
    assert names == ["rapport", MODEL]
    say(f"upstream: whole and streamed chat through a second server, models {names}")


def test_a_dead_server_is_answered_for_under_ray_too(attached):
    client, other = attached
    other.statuses = [(503, {}, {})] * 3
    whole = client.chat.completions.create(
        model="rapport", messages=HELLO, extra_body={"rapport::mode": "arm_first"}
    )
    assert whole.rapport["degraded"] == "upstream:failing"
    assert whole.rapport["delivered"] == "fallback"


def test_people_are_told_who_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("THEIR_KEY", KEY)
    with other_server() as other:
        flags = {"upstream": other.url, "model": MODEL, "key-env": "THEIR_KEY"}
        command = serve_command(home=tmp_path / "home", port=0, as_json=False, flags=flags)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(240, process.kill)
            timer.start()
            told = [process.stdout.readline() for _ in range(3)] if process.stdout else []
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
            timer.cancel()
    assert f"{MODEL} at {other.url}; mode observe" in "".join(told)
    assert KEY not in "".join(told)


def test_a_wrong_key_ends_the_start_with_exit_2(tmp_path):
    with other_server() as other:
        flags = {"upstream": other.url, "model": MODEL, "key-env": "WRONG_KEY"}
        command = serve_command(home=tmp_path / "home", port=0, as_json=True, flags=flags)
        for environment, word in (({"WRONG_KEY": "sk-wrong"}, "401"), ({}, "WRONG_KEY")):
            ran = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, **environment},
            )
            assert ran.returncode == 2
            assert word in json.loads(ran.stdout)["error"]["message"]
            assert "sk-wrong" not in ran.stdout + ran.stderr
    assert sys.executable in command
