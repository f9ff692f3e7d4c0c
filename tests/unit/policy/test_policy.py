import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rapport.errors import BrokenReleaseError
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.features import Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import RewardSettings, fit_reward_model
from tests.unit.policy.test_preference_model import a_model
from tests.unit.policy.worlds import LAYOUT, a_situation, a_world

DATA, EXPECTED = a_world(n=1500)
BEHAVIOUR = Behaviour(a=1.0, b=16.0, temperature=0.5, epsilon=0.1)


@pytest.fixture(scope="module")
def policy():
    settings = RewardSettings(epochs=6)
    return Policy(
        layout=LAYOUT,
        behaviour=BEHAVIOUR,
        learner="reward_model",
        context=fit_context_model(DATA),
        scorer=fit_reward_model(DATA, settings),
        recipe=settings.model_dump(),
    )


def test_a_decision_carries_both_scores_and_probabilities_over_the_menu(policy):
    situation = a_situation(n=4)
    found = policy.decide(situation)
    served = LAYOUT.served(situation.agent)
    again = BEHAVIOUR.probabilities(
        found.nlp, found.rec, mask=served, safe=LAYOUT.safe(situation.agent)
    )
    assert np.array_equal(found.probability, again)
    assert np.all(found.probability[~served] == 0)
    assert np.abs(found.probability.sum(axis=1) - 1).max() <= 1e-12


def test_how_it_was_learned_is_kept_beside_it_and_is_no_part_of_its_id(policy, tmp_path):
    kept = policy.save(tmp_path)
    found: Any = Policy.load(tmp_path)
    assert found.scorer.learning == policy.scorer.learning
    (tmp_path / "learning.json").unlink()
    older: Any = Policy.load(tmp_path)
    assert (older.id, older.scorer.learning) == (kept, None)


def test_it_prefers_what_the_persona_likes(policy):
    found = policy.decide(DATA.situation, mask=DATA.mask)
    value = (np.nan_to_num(EXPECTED) * found.probability).sum(axis=1).mean()
    even = np.nanmean(EXPECTED)
    assert value > even + 0.5 * (np.nanmax(EXPECTED, axis=1).mean() - even)


def test_vetoes_and_forbidden_exploration_are_honoured(policy):
    situation = a_situation(n=3)
    mask = LAYOUT.served(situation.agent)
    best = policy.decide(situation, explore=np.zeros(3, dtype=bool)).probability
    assert np.sort(best, axis=1)[:, -1].tolist() == [1, 1, 1]
    mask[np.arange(3), best.argmax(axis=1)] = False
    assert np.all(policy.decide(situation, mask=mask).probability[best == 1] == 0)


def test_saved_and_loaded_it_decides_the_same_under_the_same_id(policy, tmp_path):
    saved = policy.save(tmp_path)
    loaded = Policy.load(tmp_path)
    situation = a_situation(n=7)
    assert loaded.id == saved == policy.id
    assert np.array_equal(
        loaded.decide(situation).probability, policy.decide(situation).probability
    )


def test_an_exported_preference_model_is_saved_too(tmp_path):
    preferring = Policy(LAYOUT, BEHAVIOUR, "marwil", scorer=a_model())
    preferring.save(tmp_path)
    situation = a_situation(n=2)
    assert np.array_equal(
        Policy.load(tmp_path).decide(situation).rec, preferring.decide(situation).rec
    )


def test_the_id_follows_the_content(policy):
    assert policy.id == replace(policy).id
    assert policy.id != replace(policy, behaviour=Behaviour()).id


def test_a_policy_that_was_tampered_with_is_refused(policy, tmp_path):
    policy.save(tmp_path)
    stated = json.loads((tmp_path / "policy.json").read_text())
    stated["behaviour"]["epsilon"] = 0.9
    (tmp_path / "policy.json").write_text(json.dumps(stated))
    with pytest.raises(BrokenReleaseError, match="not what was saved"):
        Policy.load(tmp_path)


@pytest.mark.parametrize("damage", ["policy.json", "policy.safetensors"])
def test_a_missing_or_broken_file_is_refused(policy, tmp_path, damage):
    policy.save(tmp_path)
    (tmp_path / damage).write_bytes(b"{")
    with pytest.raises(BrokenReleaseError):
        Policy.load(tmp_path)
    (tmp_path / damage).unlink()
    with pytest.raises(BrokenReleaseError):
        Policy.load(tmp_path)


def test_the_uniform_policy_draws_safe_arms_evenly(tmp_path):
    uniform = uniform_policy(Layout.of(["everyone"]))
    situation = replace(a_situation(n=2, layout=uniform.layout), posterior=np.ones((2, 1)))
    found = uniform.decide(situation)
    safe = uniform.layout.safe(situation.agent)
    assert found.probability[safe] == pytest.approx(1 / 8)
    uniform.save(tmp_path)
    assert Policy.load(tmp_path).id == uniform.id


def test_personas_with_too_little_data_keep_the_incumbent(policy, tmp_path):
    kept = policy.withholding([LAYOUT.personas[0]], uniform_policy(LAYOUT))
    situation = a_situation(n=30)
    held = situation.posterior.argmax(axis=1) == 0
    found, old = kept.decide(situation), policy.decide(situation)
    assert found.probability[held] == pytest.approx(
        uniform_policy(LAYOUT).decide(situation).probability[held]
    )
    assert np.array_equal(found.probability[~held], old.probability[~held])
    kept.save(tmp_path)
    loaded = Policy.load(tmp_path)
    assert np.array_equal(loaded.decide(situation).probability, found.probability)
    assert policy.withholding([], uniform_policy(LAYOUT)) is policy


def test_an_incumbent_of_other_personas_gives_way_to_even_arms(policy):
    other = uniform_policy(Layout.of(["someone"]))
    assert policy.withholding(["dry-01"], other).incumbent == uniform_policy(LAYOUT)


def test_finished_replies_are_ranked_by_the_product_of_both_scores(policy):
    situation = a_situation(n=1)
    arms = len(LAYOUT.arms)
    shares = np.eye(arms, dtype=np.float32)[[LAYOUT.arms.index("question")] * 2]
    found = policy.rank(situation, np.array([[0.9, 0.3]]), shares=shares)
    assert found.rec[0, 0] == found.rec[0, 1]
    assert found.probability[0, 0] > found.probability[0, 1]
    product = found.nlp * found.rec**16
    raised = (product / product.max()) ** 2
    assert found.probability == pytest.approx(0.9 * raised / raised.sum() + 0.05)
