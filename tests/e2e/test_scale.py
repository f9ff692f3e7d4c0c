"""The proof of scale: a million turns through ingest and segmentation, 100,000 through MiniLM."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.statistics.report import say

ROOT = Path(__file__).parents[2]
SIZES = (221, 2_205, 22_100)
"""Users of the simulated logs: 10,000, 100,000 and 1,000,000 turns."""
DRAWN = (500, 5_000, 50_000)
"""Users whose vectors are drawn, 20 turns each."""
MOST_MIB = 4 * 1024
SLICE = 100_000
NO_WORSE = 1.25
"""How much more a further row may cost than one before: processor seconds vary by a tenth."""


def step(name: str, folder: Path, size: int, *, timeout_s: float = 1200) -> dict[str, float]:
    """Run a step in a process of its own and say what it cost."""
    command = [sys.executable, "-m", "tests.e2e.scale_steps", name, str(folder), str(size)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(f"{name} {size}: " + ", ".join(f"{key} {value:.6g}" for key, value in found.items()))
    return found


def grows_no_faster(costs: list[float], sizes: tuple[int, ...]) -> bool:
    """Whether the cost of one more row does not rise from one pair of sizes to the next."""
    pairs = zip(pairwise(costs), pairwise(sizes), strict=True)
    slopes = [(after - before) / (more - fewer) for (before, after), (fewer, more) in pairs]
    return all(later <= NO_WORSE * max(earlier, 0) for earlier, later in pairwise(slopes))


@pytest.mark.slow
def test_a_million_turns_are_simulated_and_ingested_within_four_gib(tmp_path):
    costs, memory = [], []
    for users in SIZES:
        folder = tmp_path / str(users)
        made = step("simulate", folder, users)
        found = step("ingested", folder, users)
        assert found["turns"] == made["turns"]
        assert max(found["peak_mib"], made["peak_mib"]) < MOST_MIB
        costs.append(found["cpu_s"])
        memory.append(found["peak_mib"])
    assert found["turns"] >= 1_000_000
    again = step("ingested", folder, users)
    assert again["peak_mib"] < MOST_MIB
    assert again["turns"] == 0
    whole = sum(made[name] for name in ("turns", "decisions", "feedback", "users"))
    assert again["duplicate"] == whole
    assert grows_no_faster(costs, SIZES)
    assert grows_no_faster(memory, SIZES)


@pytest.mark.slow
def test_fifty_thousand_users_are_segmented_within_four_gib(tmp_path):
    costs, memory = [], []
    for users in DRAWN:
        folder = tmp_path / str(users)
        step("draw", folder, users)
        made = step("states", folder, users)
        found = step("segmented", folder, users)
        assert (made["users"], found["fitted"], found["assigned"]) == (users, users, users)
        assert found["k"] == 4
        assert max(found["peak_mib"], made["peak_mib"]) < MOST_MIB
        costs.append(found["cpu_s"])
        memory.append(found["peak_mib"])
    assert grows_no_faster(costs, DRAWN)
    assert grows_no_faster(memory, DRAWN)


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "turns"), [("embedded", 4_000), ("embedded_by_ray", 20_000)])
def test_embedding_is_nearly_as_fast_as_the_bare_encoder(tmp_path, runner, turns):
    # Turns a piece: short ones share out what else runs here; Ray Data pays its start each time.
    step("simulate", tmp_path, SLICE // 20)
    step("ingested", tmp_path, SLICE // 20)
    found = step(runner, tmp_path, turns, timeout_s=3000)
    assert found["turns"] == SLICE
    assert found["peak_mib"] < MOST_MIB
    say(f"{runner}: {found['ours']:.0f} turns/s, bare {found['bare']:.0f}")
    assert found["ours"] >= 0.85 * found["bare"]
