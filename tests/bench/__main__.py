"""Benchmarks by name: `poe bench serve generation`, all without one.

    poe bench --keep    writes the figures beside the benchmarks, as the baseline
    poe bench --check   warns where a ratio fell below 70 % of the baseline's; never fails

Every figure that is compared is a ratio of two that took turns in one run.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

NAMES = ("generation", "serve")
HERE = Path(__file__).parent
TOLERANCE = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(prog="poe bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {min(unknown)!r}; known: {', '.join(NAMES)}")
    for name in arguments.names or NAMES:
        found = measured(name)
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        baseline = HERE / f"{name}.json"
        if arguments.check and baseline.exists():
            warn(name, found, json.loads(baseline.read_text(encoding="utf-8")))
        if arguments.keep:
            baseline.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(name: str) -> dict[str, Any]:
    """The figures of a benchmark, run in a process of its own."""
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    now = datetime.now(UTC).date().isoformat()
    return {"date": now, "machine": f"{platform.machine()}, {cores()} cores", **found}


def cores() -> int:
    return psutil.cpu_count() or 1


def warn(name: str, found: dict[str, Any], before: dict[str, Any]) -> None:
    """Say which rows lost against their peer since the baseline."""
    known = {row["what"]: row["ratio"] for row in before["rows"]}
    for row in found["rows"]:
        then = known.get(row["what"])
        if then and row["ratio"] < TOLERANCE * then:
            told = f"{row['ratio']:.2f} of its peer's rate, {then:.2f} on {before['date']}"
            sys.stderr.write(f"bench {name}: {row['what']}: {told}\n")


if __name__ == "__main__":
    main()
