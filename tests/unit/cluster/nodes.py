"""A cluster of three Ray nodes on this machine, for tests: a head for drivers and two workers.

The nodes belong to a process of their own, which is this module run as a program: Ray reads its
token when it is imported, and a test's process may have imported it long ago. It removes the nodes
when its standard input ends, so they go with the test however that ends.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[3]
_STORE_BYTES = 100 * 2**20
_WORKERS = 2


@dataclass
class Nodes:
    """A head without processors, where drivers run, and workers with one processor each."""

    holder: "subprocess.Popen[str]"
    environment: Mapping[str, str]
    """Of a driver that joins; `RAY_ADDRESS` is not in it."""
    address: str
    raylets: list[int]
    """Process of each worker node that lives."""

    def running(self, word: str) -> list[psutil.Process]:
        """Ray's processes on the workers whose command line holds a word."""
        found = []
        for raylet in self.raylets:
            for process in psutil.Process(raylet).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if word in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def kill(self, *, holding: psutil.Process) -> None:
        """Kill the worker node that a process runs on, and bring another in its place."""
        (raylet,) = (
            each
            for each in self.raylets
            if holding in psutil.Process(each).children(recursive=True)
        )
        self.raylets.remove(raylet)
        self.raylets.append(self._tell({"kill": raylet})["raylet"])

    def start(self, words: list[str], *, log: Path) -> "subprocess.Popen[str]":
        """Start a `rapport` command that joins by `--address`; its stderr goes to a file."""
        command = [sys.executable, "-m", "rapport.cli", *words, "--address", self.address]
        with log.open("w") as sink:
            return subprocess.Popen(
                [*command, "--json"],
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                env={**os.environ, **self.environment},
            )

    def _tell(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self.holder.stdin
        assert self.holder.stdout
        self.holder.stdin.write(json.dumps(message) + "\n")
        self.holder.stdin.flush()
        answer: dict[str, Any] = json.loads(self.holder.stdout.readline())
        return answer


@contextlib.contextmanager
def three_nodes() -> Iterator[Nodes]:
    """Three nodes on loopback behind a fresh token; nothing of them is left afterwards."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
    }
    paths = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.cluster.nodes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": paths,
            "RAY_TMPDIR": tempfile.mkdtemp(prefix="rn-", dir="/tmp"),
        },
    )
    assert holder.stdin
    assert holder.stdout
    try:
        started = json.loads(holder.stdout.readline())
        # Ray turns 127.0.0.1 into this machine's outward address, where these nodes do not listen.
        address = started["address"].replace("127.0.0.1", "[::ffff:127.0.0.1]")
        yield Nodes(holder, environment, address, started["raylets"])
    finally:
        holder.stdin.close()
        try:
            holder.wait(timeout=60)
        finally:
            holder.kill()
            holder.stdout.close()


def main() -> None:
    """Hold the nodes; kill and replace workers as told on standard input until it ends."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415  (not for those who only ask)

    folder = Path(os.environ["RAY_TMPDIR"])
    (folder / "ray").mkdir()  # a cluster leaves its address here, for whoever asks for "auto"
    common = {"object_store_memory": _STORE_BYTES, "node_ip_address": "127.0.0.1"}
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints is not an answer
    cluster = Cluster(
        initialize_head=True,
        head_node_args={**common, "num_cpus": 0, "include_dashboard": False},
    )
    try:
        workers = dict(_added(cluster, common) for _ in range(_WORKERS))
        _answer(out, {"address": cluster.address, "raylets": list(workers)})
        for line in sys.stdin:
            cluster.remove_node(workers.pop(json.loads(line)["kill"]), allow_graceful=False)
            raylet, node = _added(cluster, common)
            workers[raylet] = node
            _answer(out, {"raylet": raylet})
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _added(cluster: Any, common: dict[str, Any]) -> tuple[int, Any]:
    node = cluster.add_node(num_cpus=1, **common)
    cluster.wait_for_nodes()
    (started,) = node.all_processes["raylet"]
    return started.process.pid, node


def _answer(out: Any, facts: dict[str, Any]) -> None:
    out.write(json.dumps(facts) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
