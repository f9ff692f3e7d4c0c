import json

import pytest

from rapport.cluster.study import Study
from rapport.cluster.trials import propose, run_trial
from rapport.cluster.tuning import search
from rapport.home import Home
from rapport.policy.learn import prepare
from tests.unit.policy.worlds import a_world


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


def test_a_search_goes_on_from_the_trials_that_were_finished(tmp_path):
    data = a_world(n=2000)[0]
    home = Home(tmp_path)
    bench = prepare(data, seed=0)
    tried = [run_trial(bench, settings, seed=0) for settings in propose(2, seed=0)]
    for trial in tried:
        Study(home.work / "tune", bench, seed=0).keep(trial)
    found = search(data, trials=2, budget_s=30, seed=0, home=home)
    assert list(found.trials) == sorted(tried, key=lambda trial: -trial.value)
    assert not found.stopped_early
    assert Study(home.work / "tune", bench, seed=1).trials() == []


def test_a_budget_too_short_for_a_search_still_gives_a_policy(tmp_path):
    found = search(a_world(n=2000)[0], trials=4, budget_s=1.0, seed=0, home=Home(tmp_path))
    assert found.stopped_early
    assert found.policy.learner == "reward_model"
    assert found.policy.behaviour == found.trials[0].behaviour
