"""A served home whose whole process tree can be killed, and clients that note what they were told.

`python -m tests.serve.killable CONFIG PORT` serves the light nodes and a tiny language model from
one process: what a gateway and a persona model do, in seconds. The real graph is `rapport serve`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from rapport.schema import new_id
from serve.settings import AppConfig

ROOT = Path(__file__).parents[2]
START_S = 180.0
CLIENTS = 4
SAID = "I feel low about work, what should I do?"


@dataclass
class Told:
    """What clients were told by one or many servers that were killed."""

    decisions: set[str] = field(default_factory=set)
    """Answered: whole, or with the first word of a stream."""
    feedback: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Feedback that was answered with an error of the client's."""


class Server:
    """One process tree in a session of its own."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=ROOT,
                env={**os.environ, **env},
                start_new_session=True,
            )
        self.url = ""
        try:
            self.url = self._first_line()
        finally:
            if not self.url:
                self.kill()

    def kill(self) -> int:
        """SIGKILL the whole tree, parents first; gives how many processes that were."""
        tree: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self._process.pid)
            tree = [top, *top.children(recursive=True)]
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._process.wait(30)
        psutil.wait_procs(tree, timeout=30)
        return len(tree)

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        timer = threading.Timer(START_S, self._process.kill)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    return str(json.loads(line)["url"])
        finally:
            timer.cancel()
        raise TimeoutError("the server did not start")


@contextlib.contextmanager
def clients(url: str, key: str, told: Told) -> Iterator[threading.Event]:
    """Clients that talk, stream, feed back and err until the block ends; all notes go to `told`.

    Yields:
        Set once the first answer came.
    """
    stop, answered = threading.Event(), threading.Event()

    def work(number: int) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            n = 0
            while not stop.is_set():
                n += 1
                with contextlib.suppress(httpx.HTTPError):
                    _exchange(client, told, number=number, n=n)
                    answered.set()

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)


def _exchange(client: httpx.Client, told: Told, *, number: int, n: int) -> None:
    asked: dict[str, Any] = {
        "messages": [{"role": "user", "content": SAID}],
        "max_tokens": 4,
        "stream": n % 2 == 1,
        "rapport::user": {"id": f"user-{number}-{n % 5}"},
    }
    decision_id = _streamed(client, asked) if n % 2 else _whole(client, asked)
    if decision_id is None:
        return
    told.decisions.add(decision_id)
    given = {"decision_id": decision_id, "metric_name": "rating", "value": 4}
    _feed_back(client, told, given)
    wrong = {"metric_name": "mood"} if n % 4 < 2 else {"decision_id": f"never-{new_id()}"}
    _feed_back(client, told, {**given, **wrong})


def _whole(client: httpx.Client, asked: dict[str, Any]) -> str | None:
    answer = client.post("/v1/chat/completions", json=asked)
    return str(answer.json()["rapport"]["decision_id"]) if answer.status_code == 200 else None


def _streamed(client: httpx.Client, asked: dict[str, Any]) -> str | None:
    with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
        if answer.status_code != 200:
            return None
        name = str(answer.headers["x-rapport-decision-id"])
        with contextlib.suppress(httpx.HTTPError):  # cut off after its first word: still answered
            for _ in answer.iter_lines():
                pass
        return name


def _feed_back(client: httpx.Client, told: Told, given: dict[str, Any]) -> None:
    feedback_id = new_id()
    answer = client.post("/v1/feedback", json={**given, "feedback_id": feedback_id})
    if answer.status_code == 200:
        told.feedback.add(feedback_id)
    elif 400 <= answer.status_code < 500:
        told.refused.add(feedback_id)


def wait_until(condition: Any, *, seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)


def main() -> None:
    """Serve until killed."""
    import socket  # noqa: PLC0415

    import torch  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415

    from rapport.language.transformers_engine import TransformersEngine  # noqa: PLC0415
    from rapport.models import pull  # noqa: PLC0415
    from serve.joining import join  # noqa: PLC0415
    from serve.persona_model import PersonaModel  # noqa: PLC0415

    torch.set_num_threads(1)
    config = AppConfig.model_validate_json(sys.argv[1])
    writer = PersonaModel(TransformersEngine(pull(config.language_model)))
    api = join(config, writer).gateway.api()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    server = uvicorn.Server(uvicorn.Config(api, log_level="error"))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
