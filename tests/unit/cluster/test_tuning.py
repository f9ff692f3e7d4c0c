import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rapport.cluster.marwil import MarwilSettings
from rapport.cluster.study import STUDY_FILE, Study, study_key
from rapport.cluster.trials import Trial, propose
from rapport.cluster.tuning import search
from rapport.home import Home
from rapport.policy.behaviour import Behaviour
from rapport.policy.reward_model import RewardSettings
from tests.unit.policy.worlds import a_world

ROOT = Path(__file__).parents[3]
BEHAVIOUR = Behaviour(a=1.0, b=8.0, temperature=0.5, epsilon=0.1)


def a_trial(settings, *, value):
    return Trial(settings, BEHAVIOUR, value=value, plain=0.0, logging=0.0, seconds=1.0)


@pytest.mark.slow
def test_two_learners_compete_in_one_tune_run_and_the_study_is_kept(tmp_path, capsys):
    home = Home(tmp_path)
    found = search(a_world(n=3000)[0], trials=4, budget_s=300, seed=0, home=home)
    assert set(found.best) == {"reward_model", "marwil"}
    assert not found.stopped_early
    assert found.trials[0].value == max(trial.value for trial in found.trials)
    assert found.policy.learner == found.trials[0].settings.learner
    study = json.loads((home.work / "tune" / "study.json").read_text())
    assert study["policy"] == found.policy.id
    assert len(study["trials"]) == 4
    assert capsys.readouterr().out == ""


def test_a_budget_too_short_for_a_search_still_gives_a_policy(tmp_path):
    found = search(a_world(n=2000)[0], trials=4, budget_s=1.0, seed=0, home=Home(tmp_path))
    assert found.stopped_early
    assert found.policy.learner == "reward_model"
    assert found.policy.behaviour == found.trials[0].behaviour


def test_trials_that_were_finished_are_not_run_again(tmp_path):
    home, data = Home(tmp_path), a_world(n=1500)[0]
    proposed = propose(2, seed=0)
    study = Study(home.work / "tune", key=study_key(data, seed=0), proposed=proposed)
    for settings, value in zip(proposed, (0.1, 0.2), strict=True):
        study.add(a_trial(settings, value=value))
    found = search(data, trials=2, budget_s=600, seed=0, home=home)
    assert [trial.value for trial in found.trials] == [0.2, 0.1]
    assert found.policy.learner == "marwil"
    assert found.policy.behaviour == BEHAVIOUR
    assert json.loads((home.work / "tune" / STUDY_FILE).read_text())["policy"] == found.policy.id
    assert not (home.logs / "ray-start.log").exists()


def test_a_study_keeps_what_is_still_proposed_and_nothing_of_other_data(tmp_path):
    data = a_world(n=200)[0]
    key = study_key(data, seed=0)
    study = Study(tmp_path, key=key, proposed=propose(2, seed=0))
    study.add(a_trial(RewardSettings(), value=0.1))
    again = Study(tmp_path, key=key, proposed=[MarwilSettings(), RewardSettings()])
    assert again.waiting == [0]
    assert again.ranked == study.ranked
    assert Study(tmp_path, key="other", proposed=propose(2, seed=0)).ranked == ()


def test_a_study_is_known_by_its_rows_in_any_order(tmp_path):
    data = a_world(n=200)[0]
    assert study_key(data.rows(list(range(200))[::-1]), seed=0) == study_key(data, seed=0)
    assert study_key(data, seed=1) != study_key(data, seed=0)
    assert study_key(replace(data, reward=-data.reward), seed=0) != study_key(data, seed=0)


SEARCH = """
import sys
from pathlib import Path
from rapport.cluster.tuning import search
from rapport.home import Home
from tests.unit.policy.worlds import a_world
search(a_world(n=3000)[0], trials=6, budget_s=300, seed=0, home=Home(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_a_search_killed_with_its_driver_goes_on_after_its_finished_trials(tmp_path):
    paths = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
    driver = subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True,
    )  # fmt: skip
    kept = tmp_path / "work" / "tune" / STUDY_FILE
    deadline = time.monotonic() + 120
    while not kept.exists() and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    first = {t["seconds"]: t["value"] for t in json.loads(kept.read_text())["trials"]}
    assert 0 < len(first) < 6

    found = search(a_world(n=3000)[0], trials=6, budget_s=300, seed=0, home=Home(tmp_path))

    assert len(found.trials) == 6
    # A trial run again would have taken other seconds.
    assert first.items() <= {t.seconds: t.value for t in found.trials}.items()
