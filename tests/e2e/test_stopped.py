"""Ctrl-C: one message that says how to go on, no process behind, nothing half-done."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rapport.home import Home
from rapport.lake import Lake

CHATS = 15_000
DEADLINE_S = 60


def a_log(path):
    """Many chats, each of two turns."""
    with path.open("w") as file:
        for n in range(CHATS):
            said = [{"role": "user", "content": f"Hello {n}"}]
            said.append({"role": "assistant", "content": f"Good day {n}"})
            file.write(json.dumps({"user": f"u{n}", "messages": said}) + "\n")


def begun(folder, *words, env=None):
    """A command in a terminal's foreground: a session of its own, so that a signal reaches all."""
    return subprocess.Popen(
        [sys.executable, "-m", "rapport.cli", *words],
        cwd=folder, env={**os.environ, **(env or {})}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(there, process):
    until = time.monotonic() + DEADLINE_S
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def held(home, name):
    """Whether somebody holds a lock of a home: he writes his name into it."""
    lock = Path(home) / "locks" / f"{name}.lock"
    return lock.exists() and lock.stat().st_size > 0


def interrupted(process):
    """What a command said after Ctrl-C, once it and all that it started are gone."""
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    return out, err


def test_an_ingest_that_is_interrupted_goes_on_with_the_same_command(tmp_path):
    a_log(tmp_path / "chats.jsonl")
    words = ("ingest", "openai-jsonl", "chats.jsonl", "--home", "home", "--json")
    process = begun(tmp_path, *words)
    wait_for(lambda: held(tmp_path / "home", "ingest_logs"), process)
    time.sleep(0.5)  # amid the rows
    out, err = interrupted(process)
    assert process.returncode == 130
    error = json.loads(out)["error"]
    assert (error["code"], error["type"]) == ("stopped", "stopped")
    assert "the same command goes on" in error["message"]
    assert err == ""
    home = Home(tmp_path / "home")
    assert list(home.work.iterdir()) == []
    assert not held(home.root, "run")
    again = begun(tmp_path, *words)
    found = json.loads(again.communicate(timeout=DEADLINE_S)[0])["tables"]["turns"]
    assert found["kept"] + found["duplicate"] == found["read"] == 2 * CHATS
    (row,) = (
        Lake(home.lake).sql("select count(*) n, count(distinct turn_id) d from turns").to_pylist()
    )
    assert row["n"] == row["d"] == 2 * CHATS


def test_a_simulation_that_is_interrupted_leaves_no_folder(tmp_path):
    process = begun(tmp_path, "simulate", "--users", "20000", "--out", "log")
    wait_for(lambda: list(tmp_path.glob(".log.*/new/*.parquet")), process)
    _, err = interrupted(process)
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert "interrupted" in err
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_is_interrupted_while_it_starts_says_so(tmp_path):
    process = begun(tmp_path, "serve", "--port", "0", "--home", "home")
    wait_for(lambda: "rapport_serve.launch" in psutil.Process(process.pid).cmdline(), process)
    out, err = interrupted(process)
    assert process.returncode == 130
    assert out == ""
    assert err.startswith("serve: interrupted")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_served_graph_that_is_interrupted_drains_and_leaves_no_process(tmp_path, language_model):
    env = {"RAPPORT_LANGUAGE_MODEL": language_model}
    process = begun(tmp_path, "serve", "--port", "0", "--home", "home", "--json", env=env)
    told = json.loads(process.stdout.readline())
    assert told["url"].startswith("http://127.0.0.1:")
    out, err = interrupted(process)
    assert process.returncode == 0
    assert (out, err) == ("", "")
    assert not held(tmp_path / "home", "serve")


@pytest.mark.slow
def test_a_run_that_is_interrupted_amid_ray_leaves_no_process_and_goes_on(tmp_path):
    simulated = begun(tmp_path, "simulate", "--users", "200", "--out", "log")
    assert simulated.wait(DEADLINE_S) == 0
    assert begun(tmp_path, "ingest", "simulation", "log", "--home", "home").wait(DEADLINE_S) == 0
    words = ("run", "embed_users", "--set", "threshold_turns=100", "--home", "home")
    process = begun(tmp_path, *words)
    started = psutil.Process(process.pid)

    def is_working():
        names = [each.name() for each in started.children(recursive=True)]
        return any(name.startswith("ray::") for name in names)

    wait_for(is_working, process)
    out, err = interrupted(process)
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert "the same command goes on" in err
    assert "Traceback" not in out + err
    again = begun(tmp_path, *words, "--json")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert err == ""
    assert json.loads(out)["left"] == 0
