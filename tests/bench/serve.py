"""Requests a second and latencies of the served graph, beside a bare Serve no-op.

    python -m tests.bench.serve --rounds 5 --seconds 4

Both are applications of one Ray Serve behind the same ingress and take turns; a tiny random model
writes, so that the graph is measured and not a model. Prints one JSON object with a row for each
kind of request: n, requests a second, milliseconds at the 50th, 95th and 99th percentile, and the
ratio to the no-op's rate. Client, ingress and replicas share the machine's processors.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from rapport.home import Home
from serve.ports import free_ports, haproxy_environment
from tests.serve import small_home

SAID = "My sister called again and I feel torn about what I should tell her this time."
DECISION = {"user": "ann", "context": SAID}
CHAT = {"messages": [{"role": "user", "content": SAID}], "max_tokens": 8, "user": "ann"}
Request = tuple[str, dict[str, Any]]


@dataclass
class Arm:
    """One kind of request, and what came of it."""

    what: str
    request: Callable[[], Request]
    at_once: int
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    failed: int = 0


def main() -> None:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rb-") as folder:
        home = small_home.make(Path(folder) / "home")
        os.environ.update(haproxy_environment(home / "logs" / "haproxy", Path(folder)))
        url, stop = _served(home)
        try:
            arms = _arms(url, small_home.key_of(home))
            _measure(arms, url, small_home.key_of(home), arguments)
        finally:
            stop()
    versions = {name: version(name) for name in ("ray", "fastapi", "torch")}
    sys.stdout.write(json.dumps({"versions": versions, "at_once": 8, "rows": _rows(arms)}) + "\n")


def _served(home: Path) -> tuple[str, Callable[[], None]]:
    """Start both applications; gives their address and what ends them."""
    # Ray reads its environment when it is imported, so only now.
    import ray
    from fastapi import FastAPI
    from ray import serve

    from rapport.cluster.session import ray_session
    from serve.app import AppConfig, build

    api = FastAPI()

    @serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
    @serve.ingress(api)
    class NoOp:
        @api.post("/")
        async def nothing(self) -> dict[str, str]:
            return {}

    session = ray_session(Home(home))
    session.__enter__()
    port = free_ports(1)[0]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    config = AppConfig.model_validate(
        {
            "home": home,
            "encoder": f"file:{home}/encoder",
            "language_model": f"file:{home}/language",
            "threads": 1,
        }
    )
    bare: Any = NoOp
    serve.run(bare.bind(), name="noop", route_prefix="/noop")
    serve.run(build(config), name="rapport", route_prefix="/")

    def stop() -> None:
        serve.shutdown()
        session.__exit__(None, None, None)
        assert not ray.is_initialized()

    return f"http://127.0.0.1:{port}", stop


def _arms(url: str, key: str) -> list[Arm]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        decided = client.post("/v1/rank", json=DECISION).raise_for_status().json()
    count = itertools.count()

    def feedback() -> Request:
        given = {"decision_id": decided["decision_id"], "metric_name": "rating", "value": 4}
        return "/v1/feedback", {**given, "feedback_id": f"bench-{next(count)}"}

    return [
        Arm("no-op", lambda: ("/noop/", {}), 8),
        Arm("feedback", feedback, 8),
        Arm("rank, arm alone", lambda: ("/v1/rank", DECISION), 8),
        Arm("chat, 8 tokens", lambda: ("/v1/chat/completions", CHAT), 8),
    ]


def _measure(arms: Sequence[Arm], url: str, key: str, arguments: argparse.Namespace) -> None:
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, limits=limits, timeout=60) as client:
        for turn in range(arguments.rounds + 1):
            for arm in arms:
                _turn(arm, client, arguments.seconds)
                if turn == 0:  # to warm up
                    arm.seconds, arm.rates, arm.failed = [], [], 0


def _turn(arm: Arm, client: httpx.Client, seconds: float) -> None:
    """Ask for so long, `at_once` at a time, each caller waiting for its answer."""
    ends, lock, done = time.monotonic() + seconds, threading.Lock(), [0]

    def ask(_caller: int) -> None:
        while time.monotonic() < ends:
            path, body = arm.request()
            begun = time.perf_counter()
            status = client.post(path, json=body).status_code
            took = time.perf_counter() - begun
            with lock:
                done[0] += 1
                arm.seconds.append(took)
                arm.failed += status != 200

    begun = time.monotonic()
    with ThreadPoolExecutor(arm.at_once) as pool:
        list(pool.map(ask, range(arm.at_once)))
    arm.rates.append(done[0] / (time.monotonic() - begun))


def _rows(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    bare = arms[0]
    return [
        {
            "what": arm.what,
            "n": len(arm.seconds),
            "failed": arm.failed,
            "requests_s": round(statistics.median(arm.rates), 1),
            **{
                f"p{level}_ms": round(1000 * float(np.quantile(arm.seconds, level / 100)), 1)
                for level in (50, 95, 99)
            },
            "ratio": round(
                statistics.median(a / b for a, b in zip(arm.rates, bare.rates, strict=True)), 4
            ),
        }
        for arm in arms
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serve")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    return parser


if __name__ == "__main__":
    main()
