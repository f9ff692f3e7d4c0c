import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from rapport.arms import load_menu
from rapport.cluster.training import Crew, fit_adapters
from rapport.errors import BudgetError, TooLittleDataError
from rapport.home import Home
from rapport.language.adapters import WEIGHTS_FILE, find_adapters, read_adapter
from rapport.language.course import STATE_FILE
from rapport.language.examples import Example, Lesson
from rapport.language.loading import load_trainable
from rapport.language.prompts import Message
from rapport.language.settings import Curriculum, TrainingSettings
from rapport.language.training import SHARED, AdapterTrainer, read_reports, train_all
from rapport.testing import tiny_language_model

ROOT = Path(__file__).parents[3]
SETTINGS = TrainingSettings(tokens=600, learning_rate=2e-2, batch_tokens=300)
CURRICULUM = Curriculum(shared=SETTINGS, persona=SETTINGS, held_out=6)


def examples(n: int, start: int) -> list[Example]:
    arms = load_menu().served
    return [
        Example(
            messages=[Message(role="user", content=f"I feel low {i}.")],
            reply="What a week that was.",
            arm=arms[i % len(arms)],
            persona="wry-03",
            user=f"user-{i}",
        )
        for i in range(start, start + n)
    ]


LESSONS = {"wry-03": Lesson(examples(12, 0), examples(6, 100))}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_language_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_ray_trains_the_adapters_that_one_process_would(home: Home, model: Path, tmp_path: Path):
    out = home.work / "adapters"

    reports = fit_adapters(LESSONS, CURRICULUM, model=model, out=out, home=home, crew=Crew(cpus=1))

    alone = AdapterTrainer(load_trainable(model))
    expected = train_all(alone, LESSONS, CURRICULUM, out=tmp_path / "alone")
    assert set(find_adapters(out)) == {SHARED, "wry-03"}
    for name, report in expected.items():
        assert reports[name].tokens == report.tokens
        assert reports[name].perplexity_adapter == pytest.approx(
            report.perplexity_adapter, rel=1e-3
        )
    assert sorted(p.name for p in home.work.iterdir()) == ["adapters"]
    made = out.stat().st_ino
    assert fit_adapters(LESSONS, CURRICULUM, model=model, out=out, home=home) == reports
    assert out.stat().st_ino == made  # a finished run is not repeated


def test_no_examples_are_refused_before_ray_starts(home: Home, model: Path):
    with pytest.raises(TooLittleDataError):
        fit_adapters({}, CURRICULUM, model=model, out=home.work / "adapters", home=home)


@pytest.mark.slow
def test_two_workers_train_the_same_adapter_as_one(home: Home, model: Path):
    outs = [home.root / "one", home.root / "two"]
    for workers, out in zip((1, 2), outs, strict=True):
        fit_adapters(
            LESSONS, CURRICULUM, model=model, out=out, home=home, crew=Crew(workers, cpus=1)
        )

    single, shared = (read_reports(out) for out in outs)
    for name, report in single.items():
        assert (shared[name].tokens, shared[name].steps) == (report.tokens, report.steps)
        assert shared[name].held_out_users == report.held_out_users
        assert shared[name].gain == pytest.approx(report.gain, rel=0.05)
    one, two = (read_adapter(out / "wry-03") for out in outs)
    for at, factor in one.up.items():
        # Gradients are summed in another order, and bfloat16 rounds what comes of it.
        assert (factor - two.up[at]).norm() < 0.05 * factor.norm()


@pytest.mark.slow
def test_a_worker_that_dies_goes_on_from_its_last_checkpoint(home: Home, model: Path):
    many = SETTINGS.model_copy(update={"tokens": 40_000, "checks": 20})
    curriculum = Curriculum(shared=many, persona=SETTINGS, held_out=6)
    out = home.work / "adapters"
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_worker, args=(home, killed), daemon=True)
    killer.start()

    reports = fit_adapters(LESSONS, curriculum, model=model, out=out, home=home, crew=Crew(cpus=1))

    killer.join(timeout=10)
    assert killed
    assert 40_000 <= reports[SHARED].tokens < 40_000 + SETTINGS.batch_tokens
    assert set(reports) == {SHARED, "wry-03"}


def kill_one_worker(home: Home, killed: list[int]) -> None:
    """Kill this test's own training worker once, when two checkpoints have been kept."""
    seen: set[str] = set()
    while len(seen) < 2:
        seen |= {path.name for path in home.work.glob("ray_train/*/checkpoint_*/")}
        time.sleep(0.05)
    for process in psutil.Process().children(recursive=True):
        if "RayTrainWorker" in " ".join(process.cmdline()):
            process.kill()
            killed.append(process.pid)


DRIVER = """
import pickle, sys
from pathlib import Path
from rapport.cluster.training import Crew, fit_adapters
from rapport.home import Home
lessons, curriculum = pickle.loads(Path(sys.argv[1]).read_bytes())
home = Home(Path(sys.argv[2]))
fit_adapters(lessons, curriculum, model=Path(sys.argv[3]), out=home.work / "adapters", home=home,
             crew=Crew(cpus=1))
"""


@pytest.mark.slow
def test_a_driver_killed_with_all_its_processes_goes_on_from_the_last_checkpoint(
    home: Home, model: Path, tmp_path: Path
):
    """The adapters are, to the byte, those of a run that nobody killed, in other processes."""
    many = SETTINGS.model_copy(update={"tokens": 30_000, "checks": 3})
    curriculum = Curriculum(shared=many, persona=SETTINGS, held_out=6, checkpoint_s=0.2)
    told = tmp_path / "told"
    told.write_bytes(pickle.dumps((LESSONS, curriculum)))
    driver = start_driver(told, home, model)
    left = wait_for_checkpoints(home, driver, n=3)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert left, "the training ended before it could be killed"
    states = [torch.load(path) for path in home.work.glob(f"ray_train/*/*/{SHARED}/{STATE_FILE}")]
    assert any(0 < state["course"][1] < 30_000 for state in states)

    straight = Home(tmp_path / "straight")
    for each in (home, straight):
        assert start_driver(told, each, model).wait(timeout=200) == 0

    reports = [read_reports(each.work / "adapters") for each in (home, straight)]
    assert reports[0][SHARED].steps == reports[1][SHARED].steps
    for name in (SHARED, "wry-03"):
        resumed, expected = (
            (each.work / "adapters" / name / WEIGHTS_FILE).read_bytes() for each in (home, straight)
        )
        assert resumed == expected, name


def start_driver(told: Path, home: Home, model: Path) -> "subprocess.Popen[bytes]":
    """A driver in a process group of its own, with one thread to a process as jobs have."""
    paths = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(told), str(home.root), str(model)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def wait_for_checkpoints(home: Home, driver: "subprocess.Popen[bytes]", *, n: int) -> bool:
    """Wait until a training has kept n checkpoints; False when it ended before."""
    seen: set[str] = set()
    deadline = time.monotonic() + 120
    while len(seen) < n and driver.poll() is None and time.monotonic() < deadline:
        seen |= {path.name for path in home.work.glob("ray_train/*/checkpoint_*/")}
        time.sleep(0.02)
    return len(seen) >= n and driver.poll() is None


@pytest.mark.slow
def test_a_budget_too_short_for_anything_is_our_own_error(home: Home, model: Path):
    hopeless = CURRICULUM.model_copy(update={"budget_s": 1e-3})

    with pytest.raises(BudgetError, match="train_adapters"):
        fit_adapters(LESSONS, hopeless, model=model, out=home.work / "adapters", home=home)
