"""A graph under Ray as its users start it: one process tree, its replicas, its end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

START_S = 180
END_S = 90


@dataclass
class Running:
    """A graph that answers."""

    process: "subprocess.Popen[str]"
    config: Path
    told: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def key(self) -> str:
        return str(self.told["key"])

    def client(self, *, timeout: float = 60) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def replicas(self, node: str) -> list[int]:
        """Process ids of a node's replicas that are alive, sorted."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:
                continue
            # Ray names a replica after what runs in it: ray::ServeReplica:app:Node.method
            if title.startswith(f"ray::ServeReplica:rapport:{node}"):
                found.append(process.pid)
        return sorted(found)

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_S)


@contextmanager
def running(
    home: Path, config: Mapping[str, Any], folder: Path, **environment: str
) -> Iterator[Running]:
    """Serve a home by a configuration, for the length of a block; nothing is left behind."""
    file = folder / "serve.yaml"
    write_config(file, config)
    command = [
        sys.executable, "-m", "rapport_serve.launch", "--json", "--home", str(home),
        "--port", "0", "--config", str(file),
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_BACKEND_LOG_LEVEL": "fatal", **environment}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True
    )
    timer = threading.Timer(START_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        timer.cancel()
        assert line.startswith("{"), f"the graph did not start: exit code {process.wait(END_S)}"
        yield Running(process, file, json.loads(line))
    finally:
        timer.cancel()
        _end(process)


def write_config(file: Path, config: Mapping[str, Any]) -> None:
    """Write a Serve configuration of one application's arguments and deployments."""
    application = {"args": config.get("args", {}), "deployments": config.get("deployments", [])}
    file.write_text(yaml.safe_dump({"applications": [application]}), encoding="utf-8")


def eventually(find: Any, *, within_s: float = 60, every_s: float = 0.1) -> Any:
    """What `find` gives once it gives something."""
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(every_s)
    return found


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
