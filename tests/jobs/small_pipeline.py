"""The pipeline on 200 simulated users, small enough to be run and killed many times."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil

from rapport.home import Home
from rapport.lake import Lake
from rapport.schema import EVENT_TABLES
from rapport.simulation import SimulationConfig, generate, write
from rapport.testing import tiny_encoder, tiny_language_model

ROOT = Path(__file__).parents[2]
MARK = "RAPPORT_TEST_RUN"
KEYS = {
    "turns": ["turn_id"],
    "decisions": ["decision_id"],
    "feedback": ["feedback_id"],
    "users": ["user_id", "set_by", "ts"],
    "rewards": ["decision_id", "reward_version"],
    "turn_embeddings": ["turn_id", "encoder_id"],
    "user_embeddings": ["user_id", "encoder_id"],
    "persona_assignments": ["user_id", "persona_id"],
    "metrics": ["name", "group"],
    "lineage": ["part", "table"],
}
"""What a row is known by in each table that the pipeline writes."""
SMALL = [
    word
    for setting in (
        "train_adapters.shared_tokens=400",
        "train_adapters.persona_tokens=200",
        "train_adapters.examples=20",
        "train_adapters.replies=15",
        "train_adapters.pairs=20",
        "train_policy.trials=2",
        "train_scorers.replies=400",
    )
    for word in ("--set", setting)
]


class SmallPipeline:
    """A log and tiny models in a folder, and homes in which the pipeline runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        log = generate(SimulationConfig(users=200, turns=10, personas=2))
        write(log, folder / "log")
        tiny_language_model(folder / "language")
        tiny_encoder(folder / "encoder", dim=384, texts=log.turns["text"].drop_nulls())
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"},
            MARK: self.mark,
            "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}",
            "RAPPORT_LANGUAGE_MODEL": f"file:{folder / 'language'}",
            "RAPPORT_ENCODER": f"file:{folder / 'encoder'}",
        }

    def start(self, home: Path, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rapport.cli", *words, "--home", str(home), "--json"]
        command += SMALL if words[0] == "run" else []
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment,
        )  # fmt: skip

    def run(self, home: Path, *words: str, timeout: float = 900) -> str:
        process = self.start(home, *words)
        printed, said = process.communicate(timeout=timeout)
        assert process.returncode == 0, said
        return printed

    def ingest(self, home: Path) -> str:
        return self.run(home, "ingest", "simulation", str(self.folder / "log"))

    def processes(self) -> list[psutil.Process]:
        """Every living process that a run of this pipeline started, directly or not."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == self.mark
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def copied(home: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(home, to, symlinks=True)
    return to


def ids(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Sorted keys of every row of every table, run records apart; keys twice stay twice."""
    lake = Lake(Home(home).lake)
    found = {}
    for table, keys in KEYS.items():
        purpose = "serve" if table in EVENT_TABLES else None
        found[table] = sorted(lake.scan(table, purpose=purpose).select(keys).collect().rows())
    return found
