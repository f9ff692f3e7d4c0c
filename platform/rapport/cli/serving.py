"""Start the graph as a subprocess and wait for its one line `{"url", "key"}`."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rapport.cli.stages import QUIET_RAY, bound
from rapport.errors import RapportError

STOP_GRACE_S = 60
"""Longer than the graph's own grace for requests in flight, and Ray's end."""


class ServeFailedError(RapportError):
    """The graph ended, or was ended at its deadline, before it answered."""

    code = "serve_failed"

    def __init__(self, status: int, said: str | None = None) -> None:
        super().__init__(status, said)
        self.status, self.said = status, said

    def __str__(self) -> str:
        if self.said:
            return f"the graph did not start: {self.said}"
        return f"the graph did not start (exit code {self.status}); its message is above"


def serve_command(
    *,
    home: Path,
    port: int | None,
    config: Path | None = None,
    as_json: bool,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """Command line of the serving process; flags that are none are left out."""
    command = [sys.executable, "-m", "rapport_serve.launch", "--home", str(home)]
    command += ["--port", str(port)] if port is not None else []
    command += ["--config", str(config)] if config else []
    for name, value in (flags or {}).items():
        command += [f"--{name}", str(value)] if value is not None else []
    return [*command, "--json"] if as_json else command


@contextmanager
def served(
    home: Path, *, deadline_s: float = 120, flags: Mapping[str, object] | None = None
) -> Iterator[dict[str, Any]]:
    """Serve a home on a free port for the length of a block; yields `{"url", "key"}`.

    The graph does not outlive this process: on Linux it drains also where this one is killed.

    Raises:
        ServeFailedError: The graph was not ready by the deadline, or ended before it.
    """
    command = serve_command(home=home, port=0, as_json=True, flags=flags)
    process = subprocess.Popen(  # noqa: S603  our own module
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**QUIET_RAY, **os.environ},
        preexec_fn=bound(os.getpid()),  # noqa: PLW1509  (one system call; no lock is taken)
    )
    try:
        yield _first_line(process, deadline_s)
    finally:
        _stop(process)


def _first_line(process: subprocess.Popen[str], deadline_s: float) -> dict[str, Any]:
    timer = threading.Timer(deadline_s, process.kill)
    timer.start()
    said: dict[str, Any] = {}
    try:
        for line in process.stdout or ():
            if line.startswith("{"):
                said = json.loads(line)
                if "error" not in said:
                    return said
    finally:
        timer.cancel()
    raise ServeFailedError(process.wait(), said.get("error", {}).get("message"))


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
