"""The one shape of a job: command line -> frozen config -> one call -> a result, printed."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from rapport.config import JobConfig, resolve
from rapport.errors import GateRefusedError, RapportError, TooLittleDataError

C = TypeVar("C", bound=JobConfig)
Result = Mapping[str, Any]

log = logging.getLogger("rapport")


def run_job(config_type: type[C], call: Callable[[C], Result], *, file: str) -> int:
    """Run a job from the command line and return its exit code.

    `--config FILE` (default `configs/<job>.yaml` beside the job's file), `--set a.b=c`
    (repeatable), `--home DIR`, `--json`. The result is one JSON object on stdout with `--json`,
    else a short table; `seconds` is added to it. Errors of ours end with their message and exit
    code; a result with `refused` true is the gate's no, and the exit code 3. What the log is too
    small for is skipped: the result says why and what would help, and the exit code is 0.
    """
    name = Path(file).stem
    arguments = _parser(name).parse_args()
    default = Path(file).parent / "configs" / f"{name}.yaml"
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    started = time.monotonic()
    try:
        config = resolve(
            config_type,
            file=arguments.config or (default if default.exists() else None),
            sets=arguments.set,
            flags={"home": arguments.home},
        )
        result = {**call(config), "seconds": round(time.monotonic() - started, 1)}
    except TooLittleDataError as error:
        result = {"skipped": str(error), "seconds": round(time.monotonic() - started, 1)}
    except RapportError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return 130
    show(result, as_json=arguments.json)
    return GateRefusedError.exit_code if result.get("refused") else 0


def show(result: Result, *, as_json: bool) -> None:
    """Print a result: one JSON line, or `key  value` lines for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=str, allow_nan=False) + "\n")
        return
    console = Console()
    for key, value in result.items():
        console.print(f"[bold]{key:<24}[/bold] {_plain(value)}", highlight=False)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return str(value)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{name}")
    parser.add_argument("--config", type=Path, help="YAML file with the job's settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
