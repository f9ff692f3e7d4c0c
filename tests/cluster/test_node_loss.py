"""The pipeline on three Ray nodes, one worker node killed amid two jobs, beside a quiet run.

    pytest -m slow -s tests/cluster

Takes four minutes on 2 cores. A node is killed when the job can be seen at work: turn vectors in
the lake, checkpoints of the training. The other home runs the same on the same nodes, undisturbed.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.language.adapters import find_adapters, read_adapter
from rapport.schema import EVENT_TABLES
from rapport.testing import tiny_language_model
from tests.statistics.report import say
from tests.unit.cluster.nodes import Nodes, three_nodes

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

USERS, TURNS = 150, 44
"""6,600 turns: the first 4,096 vectors are committed while others are still being computed."""
STAGES: dict[str, list[str]] = {
    "relay_outbox": [],
    "embed_users": ["threshold_turns=1", "budget_s=500"],
    "compute_rewards": [],
    "train_scorers": ["replies=400"],
    "segment_personas": ["k=3"],
    "train_adapters": [
        "shared_tokens=24000", "persona_tokens=800", "replies=15", "pairs=24", "budget_s=500",
        "checkpoint_s=0.5",
    ],
    "train_policy": ["trials=2", "budget_s=500"],
    "evaluate_release": [],
    "promote_release": [],
}  # fmt: skip
DEADLINE_S = 400
COSINE = 0.9999
"""Of a user's vector; blocks fall to other actors, and bfloat16 keeps 8 bits."""


@dataclass
class Ran:
    """What one home's pipeline came to."""

    home: Home
    results: dict[str, dict[str, Any]]
    killed: dict[str, str]
    """What could be seen of each job whose node was killed."""

    def rows(self, table: str, *, key: str) -> pl.DataFrame:
        """A table in the order of its key."""
        purpose = "analytics" if table in EVENT_TABLES else None
        return Lake(self.home.lake).scan(table, purpose=purpose).collect().sort(key)


def run(nodes: Nodes, home: Path, log: Path, *, disturbed: bool) -> Ran:
    """Run every stage by `rapport run --address`; disturbed, kill a node amid two of them."""
    moments = {"embed_users": some_vectors(home), "train_adapters": some_checkpoints(home)}
    results, killed = {}, {}
    for job, sets in STAGES.items():
        words = ["run", job, "--home", str(home)]
        process = nodes.start([*words, *(p for s in sets for p in ("--set", s))], log=log)
        if disturbed and job in moments:
            word, seen = moments[job]
            killed[job] = kill_amid(nodes, process, word=word, seen=seen)
        results[job] = ended(process, log)
    return Ran(Home(home), results, killed)


def kill_amid(
    nodes: Nodes, process: "subprocess.Popen[str]", *, word: str, seen: Callable[[], str]
) -> str:
    """Wait until a job is seen at work, then kill the node of one of its processes."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := seen()) or not (workers := nodes.running(word)):
        assert process.poll() is None, "the job ended before anything could be killed"
        assert time.monotonic() < deadline, "the job was not seen at work"
        time.sleep(0.05)
    assert process.poll() is None
    nodes.kill(holding=workers[0])
    return found


def ended(process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, log.read_text()[-3000:]
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def some_vectors(home: Path) -> tuple[str, Callable[[], str]]:
    """Rows of `turn_embeddings`, as many as the first commits hold."""

    def seen() -> str:
        rows = Lake(home / "lake").scan("turn_embeddings").select(pl.len()).collect().item()
        return f"{rows} turn vectors in the lake" if rows else ""

    return "MapWorker", seen


def some_checkpoints(home: Path) -> tuple[str, Callable[[], str]]:
    """A third checkpoint of the training: the first two were superseded."""
    names: set[str] = set()

    def seen() -> str:
        names.update(p.name for p in (home / "work/ray_train").glob("*/checkpoint_*/"))
        return f"{len(names)} checkpoints" if len(names) >= 3 else ""

    return "RayTrainWorker", seen


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ran, Ran]]:
    """The quiet run and the disturbed one, from copies of one home."""
    root = tmp_path_factory.mktemp("nodes")
    model = tiny_language_model(root / "tiny")
    command("simulate", "--users", USERS, "--turns", TURNS, "--out", root / "log")
    command("ingest", "simulation", root / "log", "--home", root / "quiet")
    shutil.copytree(root / "quiet", root / "disturbed")
    with pytest.MonkeyPatch.context() as patch, three_nodes() as nodes:
        patch.setenv("RAPPORT_LANGUAGE_MODEL", f"file:{model}")
        quiet = run(nodes, root / "quiet", root / "quiet.log", disturbed=False)
        disturbed = run(nodes, root / "disturbed", root / "disturbed.log", disturbed=True)
        yield quiet, disturbed


def command(*words: object) -> None:
    line = [sys.executable, "-m", "rapport.cli", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr


def test_the_pipeline_ends_though_two_nodes_were_lost(pair):
    quiet, disturbed = pair
    for name, ran in (("quiet", quiet), ("disturbed", disturbed)):
        say(f"{name}: {sum(r['seconds'] for r in ran.results.values()):.0f} s in "
            f"{len(ran.results)} jobs; node killed at: {ran.killed or 'never'}")  # fmt: skip
    assert set(disturbed.killed) == {"embed_users", "train_adapters"}
    for ran in pair:
        assert ran.results["embed_users"]["runner"] == "Ray Data"
        assert ran.results["embed_users"]["embedded"] == USERS * TURNS
        # No job fell back to a session of its own.
        assert not (ran.home.logs / "ray-start.log").exists()


@pytest.mark.parametrize(
    ("table", "key", "columns"),
    [
        ("turns", "turn_id", None),
        ("decisions", "decision_id", None),
        ("feedback", "feedback_id", None),
        ("rewards", "decision_id", ["decision_id", "reward_version"]),
        ("turn_embeddings", "turn_id", ["turn_id", "encoder_id"]),
        ("user_embeddings", "user_id", ["user_id", "encoder_id", "last_event_ts"]),
        ("persona_assignments", "user_id", ["user_id", "persona_id"]),
    ],
)
def test_every_table_has_the_rows_of_the_quiet_run_once(pair, table, key, columns):
    quiet, disturbed = (ran.rows(table, key=key) for ran in pair)
    assert quiet.height > 0
    assert disturbed[key].n_unique() == disturbed.height
    assert disturbed.select(columns or quiet.columns).equals(quiet.select(columns or quiet.columns))


def test_vectors_rewards_and_margins_are_those_of_the_quiet_run(pair):
    for table, key in (("turn_embeddings", "turn_id"), ("user_embeddings", "user_id")):
        a, b = (np.array(ran.rows(table, key=key)["vector"].to_list()) for ran in pair)
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = (a * b).sum(axis=1) / norms
        say(f"{table}: {len(a)} vectors, least cosine {cosine.min():.7f}, "
            f"largest difference {np.abs(a - b).max():.2e}")  # fmt: skip
        assert cosine.min() > COSINE
    for table, key, column in (
        ("rewards", "decision_id", "value"),
        ("persona_assignments", "user_id", "margin"),
    ):
        a, b = (ran.rows(table, key=key)[column].to_numpy() for ran in pair)
        say(f"{table}.{column}: largest difference {np.abs(a - b).max():.2e}")
        assert np.abs(a - b).max() < 1e-2


def test_the_adapters_are_those_of_the_quiet_run(pair):
    quiet, disturbed = (find_adapters(ran.home.work / "adapters") for ran in pair)
    assert set(quiet) == set(disturbed)
    for name, folder in quiet.items():
        one, two = read_adapter(folder), read_adapter(disturbed[name])
        off = max(float((one.up[at] - two.up[at]).norm() / one.up[at].norm()) for at in one.up)
        say(f"adapter {name}: largest relative difference {off:.2e}")
        assert off < 0.05


def test_both_published_a_release_that_verifies(pair):
    for ran in pair:
        command("release", "verify", "--home", ran.home.root)
