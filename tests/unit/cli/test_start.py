"""What starting costs: modules are counted, seconds only printed."""

import json
import statistics
import subprocess
import sys
import time

import pytest

from tests.statistics.report import say

HEAVY = {
    "torch", "ray", "polars", "pyarrow", "numpy", "sqlalchemy", "transformers", "duckdb",
    "matplotlib", "sklearn", "scipy", "deltalake", "openai",
}  # fmt: skip
HELP = "from rapport.cli import app; import sys; sys.argv = ['rapport', '--help']"
MOST_MODULES = 600
"""Of `rapport --help`, most of them typer's, rich's and pydantic's; 430 when this was set."""


def loaded(statement, *, after=""):
    """Names of the modules that a statement loads."""
    script = f"""
import json, sys
before = set(sys.modules)
try:
    {statement}{after}
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted(set(sys.modules) - before)))
"""
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ran.stderr)


def test_the_library_alone_loads_nothing_but_itself():
    assert loaded("import rapport") == ["rapport"]


def test_help_loads_nothing_heavy():
    names = loaded(HELP, after="; app()")
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in names)
    assert "rapport.cli.app" in names
    assert len(names) <= MOST_MODULES


@pytest.mark.slow
def test_both_start_in_less_than_a_second():
    ways = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import rapport": [sys.executable, "-c", "import rapport"],
        "rapport --help": [sys.executable, "-m", "rapport.cli", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(7):
        for name, command in ways.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
            seconds[name].append(time.perf_counter() - started)
    told = ", ".join(
        f"{name} {min(each):.2f} s (median {statistics.median(each):.2f})"
        for name, each in seconds.items()
    )
    say(f"start, best of 7, interleaved: {told}")
    assert max(statistics.median(each) for each in seconds.values()) < 1
