"""Every job runs by its smoke settings: no earlier job, no other home, seconds on a CPU."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.statistics.report import say

ROOT = Path(__file__).parents[2]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("[a-z]*.py"))
# One thread: two on a busy machine wait for each other.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}",
}


def smoke(name, folder):
    command = [sys.executable, "-m", f"jobs.{name}", "--json"]
    command += ["--config", str(ROOT / f"jobs/configs/{name}.smoke.yaml")]
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
        env=ENVIRONMENT | {"TMPDIR": str(folder), "RAPPORT_HOME": str(folder / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    say(f"smoke {name}: {time.monotonic() - started:.0f} s")
    # Its home went with it, and it made no other; torch keeps a cache there.
    assert not [*folder.glob("rapport*"), *folder.glob("home")]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_candidate_that_passes_is_promoted_by_the_smoke_run(tmp_path):
    result = smoke("promote_release", tmp_path)
    assert result["policy"] == "candidate"
    assert not result["refused"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in JOBS if name != "promote_release"])
def test_a_job_runs_by_its_smoke_settings(name, tmp_path):
    result = smoke(name, tmp_path)
    assert "unchanged" not in result
    assert not result.get("refused")
