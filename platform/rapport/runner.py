"""A job's command line, its end by a signal, and how a result or an error is printed."""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape

from rapport.errors import (
    ConfigError,
    DataError,
    GateRefusedError,
    MachineError,
    RapportError,
    StoppedError,
    StoreDownError,
)

Result = Mapping[str, Any]
_SPACE = "free some space, or name another place (--home, --out)"
_MODE = "change its owner or mode, or name another place (--home, --out)"
_MODES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
STORE_REMEDY = "start it, make room on its disk, or correct RAPPORT_STORE"
_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EACCES: _MODE,
    errno.EPERM: _MODE,
    errno.EROFS: _MODE,
    errno.ENOTDIR: "name a folder",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENOMEM: "close other programs, or give it a smaller input",
}
_TYPES: Mapping[int, str] = {
    ConfigError.exit_code: "configuration_error",
    GateRefusedError.exit_code: "gate_error",
    StoppedError(signal.SIGINT).exit_code: "stopped",
    StoppedError(signal.SIGTERM).exit_code: "stopped",
}
"""By exit code; what else fails is `data_error` or `run_error`."""


def command_line(job: str) -> argparse.ArgumentParser:
    """Options that every job takes."""
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{job}")
    parser.add_argument("--config", type=Path, help="YAML file with the job's settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one setting: a.b=c"
    )
    parser.add_argument("--home", type=Path, help="folder of the installation")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be read and written and how long it would take; write nothing",
    )
    parser.add_argument("--force", action="store_true", help="run it even if nothing changed")
    return parser


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM unwind the block, so that it ends what it started and notes what became of it.

    Ctrl-C does so at once too: polars, once imported, has the kernel go on waiting after it.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: what unwinds is left to its end
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    signal.siginterrupt(signal.SIGINT, True)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def of_machine(error: OSError | MemoryError) -> MachineError | ConfigError | None:
    """Say what the machine lacks or forbids, none for an error of another kind."""
    if isinstance(error, MemoryError):
        return MachineError("there is not enough memory", "", _REMEDIES[errno.ENOMEM])
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    reason, place = os.strerror(error.errno or 0).lower(), str(error.filename or "")
    if error.errno in _MODES:
        return ConfigError("path", place, f"{reason}; {remedy}")
    return MachineError(reason, place, remedy)


def error_json(error: RapportError) -> dict[str, dict[str, str | None]]:
    """Give an error the shape it has over HTTP: `{"error": {message, type, code, param}}`."""
    other = "data_error" if isinstance(error, DataError) else "run_error"
    param = error.setting if isinstance(error, ConfigError) else None
    told = {"message": _said(error), "type": _TYPES.get(error.exit_code, other), "code": error.code}
    return {"error": {**told, "param": param}}


def tell(error: RapportError, *, who: str, as_json: bool) -> int:
    """Tell an error once and return its exit code: to people on stderr, as JSON on stdout.

    Where nobody is left to read it, nothing is told.
    """
    try:
        if as_json:
            sys.stdout.write(json.dumps(error_json(error)) + "\n")
            sys.stdout.flush()
        else:
            sys.stderr.write(f"{who}: {_said(error)}\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return error.exit_code


def _said(error: RapportError) -> str:
    """An error's words on one line, with what an operator can do where it is for clients."""
    remedy = f"; {STORE_REMEDY}" if isinstance(error, StoreDownError) else ""
    return " ".join(str(error).split()) + remedy


def show(result: Result, *, as_json: bool) -> None:
    """Print a result: one JSON line, or `key  value` lines for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=str, allow_nan=False) + "\n")
        return
    console = Console()
    if result.get("unchanged"):
        console.print(unchanged_sentence(result), highlight=False, markup=False)
        return
    for key, value in result.items():
        console.print(f"[bold]{key:<24}[/bold] {escape(_plain(value))}", highlight=False)


def unchanged_sentence(result: Result) -> str:
    """Say that a job did nothing, and which run it would have repeated."""
    repeats = result["repeats"]
    return (
        f"{result.get('job', 'the job')}: unchanged. Its run {repeats['run_id']} of "
        f"{repeats['started']} had the same inputs and what it wrote still stands; "
        "--force runs it anyway."
    )


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return str(value)
