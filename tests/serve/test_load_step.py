"""A step of load in `spread`: replicas come and go with it; the course is kept in tests/bench."""

import csv
import shutil
import threading
import time
from pathlib import Path

import matplotlib as mpl
import pytest

from tests.serve.other_server import KEY, MODEL, other_server
from tests.serve.processes import running
from tests.serve.test_topologies import CHAT, SMALL, TALK
from tests.statistics.report import say

mpl.use("Agg")
import matplotlib.pyplot as plt

pytestmark = pytest.mark.slow
KEPT = Path(__file__).parents[1] / "bench"
QUIET_S, LOADED_S, AFTER_S, TALKERS = 8, 50, 60, 12
# Handles push what waits in them every 10 s by default; the step would be seen late.
PUSHED = {"RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1"}
SCALING = {
    "min_replicas": 1, "max_replicas": 3, "target_ongoing_requests": 2, "upscale_delay_s": 1,
    "downscale_delay_s": 5, "look_back_period_s": 2, "metrics_interval_s": 0.5,
}  # fmt: skip


def test_persona_models_follow_a_step_of_load_up_and_down(promoted_home, tmp_path):
    home = shutil.copytree(promoted_home, tmp_path / "home")
    args = {
        "topology": "spread", "threads": 1, "language_model": f"file:{home}/language",
        "encoder": f"file:{home}/encoder", "gateway": SMALL, "reader": SMALL,
        "persona_model": {**SMALL, "autoscaling_config": SCALING},
    }  # fmt: skip
    with running(home, {"args": args}, tmp_path, **PUSHED) as served:
        course, failures = _course(served, "PersonaModel")
    _judged(course, failures, name="load_step")


def test_gateways_follow_a_step_of_load_on_a_slow_upstream(promoted_home, tmp_path, postgres):
    home = shutil.copytree(promoted_home, tmp_path / "home")
    with other_server() as theirs:
        theirs.before_s = 1.0
        args = {
            "topology": "spread", "encoder": f"file:{home}/encoder", "reader": SMALL,
            "gateway": {**SMALL, "autoscaling_config": SCALING},
            "upstream": {"url": theirs.url, "model": MODEL, "key_env": "THEIR_KEY"},
        }  # fmt: skip
        environment = {**PUSHED, "THEIR_KEY": KEY, "RAPPORT_STORE": postgres.database()}
        with running(home, {"args": args}, tmp_path, **environment) as served:
            course, failures = _course(served, "Gateway")
    _judged(course, failures, name="load_step_upstream")


def _judged(course, failures, *, name):
    replicas = [row["replicas"] for row in course]
    say(f"{name}: replicas {replicas[0]} -> {max(replicas)} -> {replicas[-1]}, "
        f"{len(failures)} failures")  # fmt: skip
    _keep(course, name)
    assert (replicas[0], max(replicas), replicas[-1]) == (1, 3, 1)
    assert failures == []


def _course(served, node):
    """Replicas and people who talk, once a second, over a step of load and its end."""
    began, done, failures, course = time.monotonic(), threading.Event(), [], []

    def talk():
        body = {"messages": TALK, "max_tokens": 200, "rapport::mode": "observe"}
        with served.client(timeout=120) as client:
            while not done.is_set():
                answer = client.post(CHAT, json=body)
                if answer.status_code != 200:
                    failures.append(answer.text)

    threads = [threading.Thread(target=talk) for _ in range(TALKERS)]
    talking = 0
    while (now := time.monotonic() - began) < QUIET_S + LOADED_S + AFTER_S:
        if now >= QUIET_S and not talking:
            talking = TALKERS
            for thread in threads:
                thread.start()
        if now >= QUIET_S + LOADED_S:
            done.set()
        alive = sum(thread.is_alive() for thread in threads)
        row = {"second": round(now), "talkers": alive,
               "replicas": len(served.replicas(node))}  # fmt: skip
        course.append(row)
        if done.is_set() and not alive and row["replicas"] == 1:
            break
        time.sleep(1)
    for thread in threads:
        thread.join(120)
    return course, failures


def _keep(course, name):
    with (KEPT / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(course[0]))
        writer.writeheader()
        writer.writerows(course)
    figure, axes = plt.subplots(figsize=(7, 3))
    seconds = [row["second"] for row in course]
    for line in ("talkers", "replicas"):
        axes.step(seconds, [row[line] for row in course], where="post", label=line)
    axes.set(xlabel="seconds", title=f"{name}: replicas follow a step of load (spread)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(KEPT / f"{name}.png", dpi=80)
    plt.close(figure)
