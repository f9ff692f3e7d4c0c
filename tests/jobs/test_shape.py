"""What the one shape gives every job: it is recorded, not repeated, alone, and can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.job import snapshot
from rapport.pipeline.planning import plan
from rapport.pipeline.ports import Desk
from rapport.pipeline.running import execute
from rapport.pipeline.runs import Run, Runs
from rapport.testing import a_turn
from tests.jobs.echo_rows import JOB, EchoConfig

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(Path(__file__).with_name("echo_rows.py")), "--json"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}"}


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path / "home")
    Lake(found.lake).append("turns", [a_turn()], writer="test")
    return found


def run(home, *, forced=False, **settings):
    return execute(JOB, EchoConfig(home=home.root, **settings), name="echo_rows", forced=forced)


def latest(home) -> Run:
    found = Runs(Lake(home.lake), tenant="default").latest("echo_rows")
    assert found is not None
    return found


def runs(home):
    rows = Lake(home.lake).scan("runs").sort("started", "run_id").collect().to_dicts()
    return [(row["status"], row["error"]) for row in rows]


def start(home, *words):
    return subprocess.Popen(
        [*COMMAND, "--home", str(home.root), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def begun(home, **settings):
    """A run that is amid its work, with a scratch folder half written."""
    (home.root / "started").unlink(missing_ok=True)
    process = start(home, "--set", "wait_s=60")
    deadline = time.monotonic() + 60
    while not (home.root / "started").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_run_is_recorded_with_what_it_read_wrote_and_took(home):
    run(home)
    found = latest(home)
    assert found.status == "done"
    assert found.peak_memory_bytes is not None
    assert (found.versions_in, found.rows_in) == ({"turns": 1}, {"turns": 1})
    assert set(found.parts_out) == {"encoder"}
    assert found.peak_memory_bytes > 10_000_000
    assert found.facts["seed"] == 0
    assert found.pid == os.getpid()


def test_a_finished_job_with_the_same_inputs_does_nothing_and_says_which_run_it_repeats(home):
    first = run(home)
    again = run(home)
    assert again["unchanged"]
    assert again["seed"] == first["seed"]
    assert again["repeats"]["run_id"]
    assert runs(home) == [("done", None)]
    assert "unchanged" not in run(home, forced=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda home: Lake(home.lake).append("turns", [a_turn(turn_index=1)], writer="test"),
        lambda home: (home.work / "encoder/a.txt").write_text("other"),
        lambda home: (home.work / "encoder/a.txt").unlink(),
    ],
    ids=["more rows", "an altered output", "a missing output"],
)
def test_a_job_runs_again_when_inputs_or_outputs_changed(home, change):
    run(home)
    change(home)
    assert "unchanged" not in run(home)
    assert run(home)["unchanged"]


def test_a_job_runs_again_with_other_settings_and_then_with_the_first_ones(home):
    run(home)
    assert "unchanged" not in run(home, seed=1)
    assert "unchanged" not in run(home)


def test_compacting_a_table_is_no_reason_to_run(home):
    for index in range(1, 4):
        Lake(home.lake).append("turns", [a_turn(turn_index=index)], writer="test")
    run(home)
    assert Lake(home.lake).compact("turns") == {"before": 4, "after": 1}
    assert run(home)["unchanged"]


def test_work_left_over_and_refusals_are_kept_apart(home):
    run(home, left=3)
    assert "unchanged" not in run(home, left=3)
    run(home, refused=True)
    assert run(home, refused=True)["refused"]
    assert [status for status, _ in runs(home)] == ["stopped", "stopped", "refused"]


def test_a_refusal_exits_with_3_also_when_it_is_repeated(home):
    for _ in range(2):
        process = start(home, "--set", "refused=true")
        process.communicate(timeout=60)
        assert process.returncode == 3


def test_a_failure_is_recorded_by_its_code_and_tried_again(home):
    process = start(home, "--set", "fails=true")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "told to fail" in said
    assert runs(home) == [("failed", "data")]
    assert "unchanged" not in run(home)


def test_a_second_run_of_the_same_job_is_refused_naming_the_first(home):
    first = begun(home)
    try:
        second = start(home)
        said, _ = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"process {first.pid} on" in said
        assert " since 20" in said
    finally:
        first.kill()
        first.communicate()


def test_a_killed_run_leaves_nothing_the_next_one_does_not_clear_and_note(home):
    run(home, seed=5)
    before = (home.work / "encoder/a.txt").read_text()
    killed = begun(home)
    killed.kill()
    killed.communicate()
    assert (home.work / "encoder/a.txt").read_text() == before
    assert len(list(home.work.iterdir())) == 2
    assert "unchanged" not in run(home, seed=5)
    assert [path.name for path in home.work.iterdir()] == ["encoder"]
    assert runs(home) == [("done", None), ("killed", None), ("done", None)]


def test_a_terminated_run_unwinds_and_notes_itself(home):
    process = begun(home)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert list(home.work.iterdir()) == []
    assert runs(home) == [("interrupted", None)]


def test_a_dry_run_says_what_would_happen_and_makes_nothing(tmp_path):
    config = EchoConfig(home=tmp_path / "none")
    found = plan(JOB, config, name="echo_rows")
    assert found["would_run"]
    assert found["because"] == ["no earlier run"]
    assert found["reads"] == {"turns": {"version": -1, "rows": 0}}
    assert found["writes"] == {"encoder": None}
    assert not (tmp_path / "none").exists()


def test_a_dry_run_estimates_from_the_last_run_or_a_stated_rate_within_the_budget(home):
    config = EchoConfig(home=home.root)
    assert plan(JOB, config, name="echo_rows")["seconds"] == 0.1  # 1 row at 10 rows/s
    run(home)
    idle = plan(JOB, config, name="echo_rows")
    assert (idle["would_run"], idle["seconds"]) == (False, 0.0)
    more = [a_turn(turn_index=index) for index in range(1, 100)]
    Lake(home.lake).append("turns", more, writer="test")
    grown = plan(JOB, config, name="echo_rows")
    assert grown["because"] == ["turns: version 1 -> 2"]
    assert grown["seconds"] == round(100 * latest(home).seconds, 1)
    bound = config.model_copy(update={"budget_s": 1e-3})
    assert "its budget" in plan(JOB, bound, name="echo_rows")["estimated_from"]


def test_the_command_prints_a_plan_as_json(home):
    process = start(home, "--dry-run")
    printed, _ = process.communicate(timeout=60)
    assert json.loads(printed)["reads"]["turns"]["rows"] == 1
    assert not (home.root / "work").exists()


def test_a_snapshot_names_versions_rows_and_digests(home):
    run(home)
    found = snapshot(Desk(EchoConfig(home=home.root), home, Lake(home.lake)), ("turns", "encoder"))
    assert (found.versions, found.rows) == ({"turns": 1}, {"turns": 1})
    assert len(found.parts["encoder"]) == 64
