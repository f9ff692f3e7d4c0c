from dataclasses import replace

import numpy as np

from rapport.cluster.marwil import MarwilSettings
from rapport.cluster.trials import Recipe, from_json, propose, retrain, run_trial, to_json
from rapport.policy.behaviour import Behaviour
from rapport.policy.learn import prepare
from rapport.policy.policy import Policy
from rapport.policy.reward_model import RewardSettings
from tests.unit.policy.worlds import a_world

BEHAVIOUR = Behaviour(a=1.0, b=32.0, temperature=0.5, epsilon=0.05)


def test_both_learners_are_proposed_in_turn_with_their_defaults_first():
    proposed = propose(6, seed=1)
    assert proposed[:2] == [RewardSettings(), MarwilSettings()]
    assert [s.learner for s in proposed] == ["reward_model", "marwil"] * 3
    assert len({s.model_dump_json() for s in proposed}) == 6
    assert proposed == propose(6, seed=1)
    assert len(propose(1, seed=1)) == 1


def test_a_trial_survives_json():
    bench = prepare(a_world(n=2000)[0])
    trial = run_trial(bench, RewardSettings(epochs=2), seed=0)
    assert from_json(to_json(trial)) == trial
    assert trial.value > trial.logging


def test_a_policy_is_trained_again_from_its_own_recipe(tmp_path):
    data, _ = a_world(n=1500)
    for settings in (RewardSettings(epochs=2), MarwilSettings(epochs=1)):
        first = retrain(data, Recipe(settings, BEHAVIOUR), seed=3)
        first.save(tmp_path / settings.learner)
        loaded = Policy.load(tmp_path / settings.learner)
        assert Recipe.of(loaded) == Recipe(settings, BEHAVIOUR)
        assert retrain(data, Recipe.of(loaded), seed=3).id == first.id


def test_gate_users_teach_nothing():
    data, _ = a_world(n=1500)
    gate = np.isin(data.user, data.part("gate").user)
    changed = data.reward.copy()
    changed[gate] = -1.0
    recipe = Recipe(RewardSettings(epochs=1), BEHAVIOUR)
    assert retrain(replace(data, reward=changed), recipe).id == retrain(data, recipe).id
