"""Files and folders that appear whole or not at all, and whose leftovers the next run clears.

What is being written has a scratch name that carries its writer: machine, process and when that
process was born. Done, it takes its place by a rename; a writer that died leaves it to be cleared.
"""

import hashlib
import itertools
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_COUNT = itertools.count()
_TAG = re.compile(r"(?P<host>[0-9a-f]{3})-(?P<pid>[0-9a-z]+)-(?P<born>[0-9a-z]{5})-\d+$")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # names stay short: socket paths end at 107 bytes
_WRAP = 36**5
_CLOCK_S = 2  # a process's time of birth is known to about a second


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Hold a private folder for the length of a block; a killed process leaves it to the next.

    Args:
        parent: Where it lies; made if missing.
        prefix: Start of its name, by which `clear_stale` finds it.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{prefix}{_tag()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Write a folder anew: yields an empty one that takes its place when the block ends well.

    Readers see the old content, for an instant none, or the new, never a half of either; a crash,
    also of the machine, leaves one of the three. Bytes are on disk before the rename.
    """
    with scratch_folder(folder.parent, f".{folder.name}.") as scratch:
        fresh, old = scratch / "new", scratch / "old"
        fresh.mkdir()
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            sync(path)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        sync(folder.parent)


def replace_text(path: Path, text: str) -> None:
    """Replace a file at once: readers see the old text or the new, after a crash too."""
    scratch = path.with_name(f".{path.name}.{_tag()}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_stale(parent: Path, prefix: str = ".") -> list[str]:
    """Remove scratch files and folders whose writer died on this machine, and name them.

    Those of living processes and of other machines stay.
    """
    removed = []
    for path in sorted(parent.glob(f"{prefix}*")):
        tag = _TAG.search(path.name)
        if tag and tag["host"] == _host() and not _alive(int(tag["pid"], 36), tag["born"]):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
            removed.append(path.name)
    return removed


def _tag() -> str:
    born = _base36(int(psutil.Process().create_time()) % _WRAP).rjust(5, "0")
    return f"{_host()}-{_base36(os.getpid())}-{born}-{next(_COUNT)}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:3]


def _alive(pid: int, born: str) -> bool:
    try:
        apart = (int(psutil.Process(pid).create_time()) - int(born, 36)) % _WRAP
        return min(apart, _WRAP - apart) <= _CLOCK_S
    except psutil.NoSuchProcess:
        return False
