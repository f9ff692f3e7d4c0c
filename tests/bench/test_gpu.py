"""What runs on a GPU runs here too, small, without anything that a GPU machine may lack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from rapport.testing import tiny_language_model
from tests.bench import gpu

ROOT = Path(__file__).parents[2]
BARE = """
import sys
for name in ("ray", "polars", "duckdb", "deltalake", "sqlalchemy", "fastapi"):
    sys.modules[name] = None
from tests.bench.gpu import main
main()
"""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", BARE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_writing_and_training_are_exact_and_timed_without_ray_or_a_lake(tmp_path):
    model = tiny_language_model(tmp_path / "tiny")
    small = {
        "model": str(model), "device": "cpu", "batches": "1,3", "adapters": "3", "alpha": "24",
        "tokens": "4", "rounds": "1", "train-tokens": "300", "train-steps": "1",
    }  # fmt: skip
    ran = bench(*(part for name, value in small.items() for part in (f"--{name}", value)))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert [row["what"] for row in found["rows"]] == [
        "written, batch 1",
        "written, batch 3",
        "trained, 200 tokens a step",
    ]
    assert all(row["ratio"] > 0 for row in found["rows"])
    exact = found["exactness"]["float32"]
    assert exact["mixed"]["most"] < 1e-3
    assert exact["merged"]["most"] < 1e-3
    assert exact["moved"]["most"] > 0.1  # else nothing was shown


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert "no GPU" in json.loads(capsys.readouterr().out)["skipped"]
