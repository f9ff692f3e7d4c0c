"""Benchmarks by name: `poe bench serve sql`, all without one.

    poe bench --keep    writes the figures beside the benchmarks, as the baseline
    poe bench --check   warns where a ratio fell below 70 % of the baseline's; never fails

Every figure that is compared is a ratio of two that took turns in one run. A benchmark that lacks
what it needs says so and is left out.
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

NAMES = ("decision", "embedding", "estimators", "generation", "gpu", "serve", "simulator", "sql")
HERE = Path(__file__).parent
TOLERANCE = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(prog="poe bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="same as NAME")
    parser.add_argument("--check", action="store_true", help="warn of ratios that fell")
    parser.add_argument("--keep", action="store_true", help="write the baselines")
    arguments = parser.parse_args()
    names = [*arguments.names, *arguments.only] or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {min(unknown)!r}; known: {', '.join(NAMES)}")
    for name in names:
        found = measured(name)
        if "skipped" in found:
            sys.stderr.write(f"bench {name}: skipped: {found['skipped']}\n")
            continue
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        baseline = HERE / f"{name}.json"
        if arguments.check and baseline.exists():
            before = json.loads(baseline.read_text(encoding="utf-8"))
            sys.stderr.writelines(f"bench {name}: {line}\n" for line in fallen(found, before))
        if arguments.keep:
            baseline.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(name: str) -> dict[str, Any]:
    """The figures of a benchmark, run in a process of its own."""
    load = round(psutil.getloadavg()[0], 1)  # what else the machine was doing
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    now = datetime.now(UTC).date().isoformat()
    machine = f"{platform.machine()}, {psutil.cpu_count() or 1} cores"
    facts = {"date": now, "machine": machine, "load": load, "python": platform.python_version()}
    return {**facts, **found}


def fallen(found: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Sentences on the rows that lost against their peer since the baseline."""
    known = {row["what"]: row["ratio"] for row in before["rows"]}
    return [
        f"{row['what']}: {row['ratio']:.2f} of its peer's rate, {then:.2f} on {before['date']}"
        for row in found["rows"]
        if (then := known.get(row["what"])) and row["ratio"] < TOLERANCE * then
    ]


if __name__ == "__main__":
    main()
