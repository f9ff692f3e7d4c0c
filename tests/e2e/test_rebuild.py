"""A release trained again by the commands it prints: the same adapters, the same policy.

    pytest -m slow -s tests/e2e/test_rebuild.py

The rebuild runs every job a second time in processes of their own, so this is also the proof that
seeds make a run repeatable on one machine, Ray and threads included. Takes about two minutes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rapport.card.document import read_card
from rapport.cli.stages import PIPELINE, run_stage
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.policies import LAST_POLICY
from rapport.policy.policy import Policy
from rapport.release import current
from rapport.testing import tiny_language_model
from tests.statistics.report import say

pytestmark = pytest.mark.slow

SMALL = {
    "train_scorers": ["replies=300"],
    "segment_personas": ["k=3"],
    "train_adapters": ["shared_tokens=1200", "persona_tokens=400", "replies=15", "pairs=24"],
    "train_policy": ["trials=2", "budget_s=200", "seed=3"],
    "evaluate_release": ["gate.margin=0.05"],
}


def rapport(*words: object) -> str:
    command = [sys.executable, "-m", "rapport.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home, list[str]]:
    """A home with a release, and the one its commands made; new rows came in between."""
    root = tmp_path_factory.mktemp("rebuild")
    first, second = root / "home", root / "again"
    log, later = root / "log", root / "later"
    rapport("simulate", "--users", 150, "--turns", 10, "--out", log)
    rapport("simulate", "--users", 30, "--turns", 6, "--seed", 9, "--out", later)
    rapport("ingest", "simulation", log, "--home", first)
    model = tiny_language_model(root / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAPPORT_LANGUAGE_MODEL", f"file:{model}")
        for job in PIPELINE:
            run_stage(job, home=first, sets=SMALL.get(job, []))
    # What came in afterwards, and the environment, must not matter any more.
    rapport("ingest", "simulation", later, "--home", first)
    run_stage("embed_users", home=first)
    told = rapport("release", "show", "--rebuild", "--into", second, "--home", first)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", told],
        capture_output=True, text=True, check=False, timeout=500, env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Home(first), Home(second), told.splitlines()


def test_the_rebuilt_release_is_the_same_to_the_byte(homes):
    old, new = (current(home.releases) for home in homes[:2])
    assert old
    assert new
    files = [path.relative_to(old) for path in sorted(old.rglob("*")) if path.is_file()]
    other = [str(p) for p in files if (old / p).read_bytes() != (new / p).read_bytes()]
    say(f"\n{len(files) - len(other)} of {len(files)} files are equal; others: {other}")
    # When it was made, and which candidate was judged, and when: the id leaves them out.
    assert set(other) <= {"manifest.json", "verdict.json", "card.json", "card.html"}
    cards = [read_card(folder) for folder in (old, new)]
    said = [(card.sections, card.adapters) for card in cards if card]
    assert len(said) == 2
    assert said[0] == said[1]
    assert old.name == new.name
    assert len([p for p in files if p.name == "adapter_model.safetensors"]) == 4
    # The candidate itself, whatever the gate made of it.
    trained = [Policy.load(home.work / LAST_POLICY) for home in homes[:2]]
    assert trained[0].id == trained[1].id


def test_the_rebuild_copied_no_events(homes):
    old, new = (Lake(home.lake) for home in homes[:2])
    assert old.version("turns") > 0
    assert set(new.tables()).isdisjoint({"turns", "decisions", "feedback", "turn_embeddings"})


def test_a_release_whose_data_was_erased_cannot_be_rebuilt_and_says_so(homes):
    home, _, _ = homes
    lake = Lake(home.lake)
    user = lake.scan("turns", purpose="train").select("user_id").head(1).collect().item()
    lake.erase([user])
    command = [sys.executable, "-m", "rapport.cli", "release", "show", "--rebuild"]
    done = subprocess.run(
        [*command, "--home", str(home.root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not in" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_manifest_names_settings_seeds_versions_and_models(homes):
    shown = json.loads(rapport("release", "show", "--json", "--home", homes[0].root))
    jobs = shown["jobs"]
    assert jobs["train_policy"]["settings"]["seed"] == 3
    assert jobs["train_policy"]["found"]["settings"]["learner"] in ("reward_model", "marwil")
    assert jobs["evaluate_release"]["settings"]["gate"]["margin"] == 0.05
    assert jobs["train_adapters"]["table_versions"]["decisions"] >= 0
    assert any(name.startswith("minilm") for name in jobs["embed_users"]["models"].values())
