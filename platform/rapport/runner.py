"""A job's command line, its end by a signal, and how a result is printed."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

Result = Mapping[str, Any]


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
    """Let SIGTERM unwind the block, so that it ends what it started and notes what became of it."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        console.print(f"[bold]{key:<24}[/bold] {_plain(value)}", highlight=False)


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
