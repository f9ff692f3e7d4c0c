"""A Ray session: joins the cluster in `RAY_ADDRESS`, or starts a small local one and removes it."""

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray

from rapport.config import Device, ray_address
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.scratch import clear_stale, scratch_folder

OBJECT_STORE_BYTES = 200 * 2**20
"""Shared memory of a local session; Ray's own default is 30 % of the machine's."""
_NOISY = ("ray", "ray.data", "ray.train", "ray.tune", "ray.rllib")
_PREFIX = "rapport-"
_KNOCK_S = 5.0
_ADDRESS = "--address or RAY_ADDRESS"
_SHORT = Path("/tmp")  # noqa: S108  Unix socket paths end at 107 bytes, and TMPDIR may be deep


@dataclass(frozen=True)
class RaySession:
    """A running session: where it is, and how many processors it has now."""

    address: str
    cpus: int
    node_cpus: int
    """Processors of its largest node; 0 where all nodes but the head are yet to come."""
    gpus: int
    local: bool

    def require_gpus(self, device: Device, *, count: int) -> None:
        """Refuse what would wait for ever: a local session never gets more GPUs than it has.

        Raises:
            ConfigError: `cuda` is asked for `count` processes and there are fewer GPUs.
        """
        if device == "cuda" and self.local and self.gpus < count:
            remedy = f"it needs {count} GPU and Ray sees {self.gpus} here; set it to auto or cpu"
            raise ConfigError("device", device, remedy)


@contextmanager
def ray_session(
    home: Home, *, cpus: int | None = None, object_store_bytes: int = OBJECT_STORE_BYTES
) -> Iterator[RaySession]:
    """Hold a Ray session; an inner one joins the outer one.

    A local session starts in 4 to 15 s, listens on this machine's addresses behind a token that
    dies with it, writes nothing outside a temporary folder, and leaves nothing behind; Ray's own
    log files are kept in the home's `logs/ray` when the block fails.

    Args:
        home: Installation whose logs folder takes the log files of a failed session.
        cpus: Processors of a local session, none for all of this machine's.
        object_store_bytes: Shared memory of a local session.

    Raises:
        ConfigError: `RAY_ADDRESS` names no cluster that can be joined from here.
    """
    if ray.is_initialized():
        yield _described(local=ray_address() is None)
        return
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    address = ray_address()
    if address:
        _join(address)
        try:
            yield _described(local=False)
        finally:
            ray.shutdown()
        return
    parent = _SHORT if _SHORT.is_dir() else Path(tempfile.gettempdir())
    clear_stale(parent, _PREFIX)
    with scratch_folder(parent, _PREFIX) as folder:
        # Ray opens its own folder to everybody; the one around it stays private.
        inside, failed = folder / "s", True
        try:
            with _stderr_into(home.logs / "ray-start.log"):
                _start(inside, cpus=cpus, object_store_bytes=object_store_bytes)
            yield _described(local=True)
            failed = False
        finally:
            if failed:
                _keep_logs(inside, home.logs / "ray")
            ray.shutdown()


def _join(address: str) -> None:
    """Join a cluster as a driver on one of its nodes."""
    if "://" in address:
        remedy = (
            "name a node's address such as 10.0.0.7:6379, or auto, and run this on a node; from "
            "elsewhere: ray job submit --address http://HEAD:8265 -- python -m jobs.<name>"
        )
        raise ConfigError(_ADDRESS, address, remedy)
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        remedy = (
            "no cluster answers there: is it running, is this one of its nodes, and is its token "
            "in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, with RAY_AUTH_MODE=token?"
        )
        raise ConfigError(_ADDRESS, address, remedy) from error


def _knock(address: str) -> None:
    """Find out in seconds whether anybody listens; Ray itself would try for minutes."""
    host, found, port = address.rpartition(":")
    if found and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _start(folder: Path, *, cpus: int | None, object_store_bytes: int) -> None:
    # Ray Data starts actors in a way that Ray's C++ core reports as an error each time.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # address="local": else Ray joins any cluster that left its address file on this machine.
    ray.init(
        address="local",
        num_cpus=cpus or os.cpu_count(),
        object_store_memory=object_store_bytes,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(folder),
    )


@contextmanager
def _stderr_into(file: Path) -> Iterator[None]:
    """Send what native code writes to stderr to a file; Ray's core greets there, unasked."""
    sys.stderr.flush()
    kept = os.dup(2)
    with file.open("ab") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _described(*, local: bool) -> RaySession:
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    cpus = [int(node["Resources"].get("CPU", 0)) for node in nodes]
    address = ray.get_runtime_context().gcs_address
    gpus = sum(int(node["Resources"].get("GPU", 0)) for node in nodes)
    return RaySession(address, sum(cpus), max(cpus), gpus, local)


def _keep_logs(folder: Path, logs: Path) -> None:
    shutil.rmtree(logs, ignore_errors=True)
    for found in folder.glob("session_2*/logs"):
        shutil.copytree(found, logs, dirs_exist_ok=True, ignore_dangling_symlinks=True)
