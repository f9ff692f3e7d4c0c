from dataclasses import replace

import numpy as np
import pytest

from rapport.explanation.chances import probabilities
from rapport.explanation.contributions import KNOWN, Case, contributions, without
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import fit_context_model
from rapport.policy.features import feature_matrix
from rapport.policy.policy import Policy
from rapport.policy.reward_model import RewardModel, RewardSettings, fit_reward_model
from tests.unit.policy.worlds import LAYOUT, a_situation, a_world

MENU = np.flatnonzero(LAYOUT.served(LAYOUT.agent_index(["emotional_support"]))[0])


@pytest.fixture(scope="module")
def policy():
    data, _ = a_world(n=1500)
    return Policy(
        layout=LAYOUT,
        behaviour=Behaviour(a=0.8, b=6.0, temperature=0.9, epsilon=0.08),
        learner="reward_model",
        context=fit_context_model(data),
        scorer=fit_reward_model(data, RewardSettings(epochs=3)),
    )


def parts_of(case):
    """What each thing did; there is something."""
    found = contributions(case)
    assert found is not None
    return found


def summed(values):
    return np.sum([value for value in values if value is not None], axis=0)


def a_case(policy, seed=1):
    """One decision of a policy as serving takes it."""
    situation = replace(a_situation(n=1, seed=seed), previous_arm=MENU[:1])
    scores = policy.decide(situation)
    return Case(
        policy=policy,
        situation=situation,
        nlp=scores.nlp[0, MENU],
        rec=scores.rec[0, MENU],
        probability=scores.probability[0, MENU],
        safe=np.ones(len(MENU), dtype=bool),
        allowed=True,
        arms=MENU,
        shares=None,
    )


@pytest.mark.parametrize("seed", range(5))
def test_everything_known_adds_up(policy, seed):
    case = a_case(policy, seed)
    found = parts_of(case)
    terms = found.always + summed(part.nlp for part in found.groups.values())
    log_nlp = np.log(case.nlp)
    assert terms == pytest.approx(log_nlp - log_nlp.mean(), abs=1e-9)
    own = summed(part.rec for part in found.groups.values())
    assert found.rec_neutral + own + found.rec_together == pytest.approx(case.rec, abs=1e-12)


@pytest.mark.parametrize("group", KNOWN)
def test_what_a_thing_did_is_the_difference_to_the_policys_answer_without_it(policy, group):
    case = a_case(policy)
    bare = policy.decide(without(case.situation, group))
    part = parts_of(case).groups[group]
    assert case.probability - part.probability == pytest.approx(bare.probability[0, MENU], abs=1e-6)
    assert case.rec - part.rec == pytest.approx(bare.rec[0, MENU], abs=1e-6)


def test_what_is_left_of_nlp_is_what_the_words_say(policy):
    case = a_case(policy)
    mean = policy.context.weights["mean"]
    silent = replace(case.situation, message=mean[None].astype(np.float32))
    bare = np.log(policy.decide(silent).nlp[0, MENU])
    words = parts_of(case).groups["words"].nlp
    said = np.log(case.nlp) - bare
    assert words == pytest.approx(said - said.mean(), abs=1e-4)


def test_a_linear_reward_by_hand(policy):
    # q = tanh(.3) for the first arm with the first persona; without it every persona is a third.
    width = LAYOUT.size
    weights = {
        "linear": np.zeros((1, width), np.float32),
        "bias": np.zeros(1, np.float32),
        "hidden": np.zeros((1, width, 2), np.float32),
        "hidden_bias": np.zeros((1, 2), np.float32),
        "out": np.zeros((1, 2), np.float32),
    }
    known = replace(a_situation(n=1), posterior=np.array([[1.0, 0.0, 0.0]]))
    one = np.eye(len(LAYOUT.arms), dtype=np.float32)[MENU[:1]]
    crossed = feature_matrix(LAYOUT, np.eye(len(LAYOUT.states), dtype=np.float32)[:1], one)[0, 0]
    column = int(np.flatnonzero(crossed)[-1])  # that persona crossed with that arm
    weights["linear"][0, column] = 0.3
    by_hand = replace(
        policy, scorer=RewardModel(LAYOUT, weights), context=None, behaviour=Behaviour()
    )
    rec = by_hand.decide(known).rec[0, MENU]
    assert rec[0] == pytest.approx((1 + np.tanh(0.3)) / 2)
    even = np.full(len(MENU), 1 / len(MENU))
    safe = np.ones(len(MENU), dtype=bool)
    shares = probabilities(Behaviour(), even, rec, safe=safe, allowed=True)
    case = Case(by_hand, known, even, rec, shares, safe, allowed=True, arms=MENU, shares=None)
    part = parts_of(case).groups["persona"]
    assert part.nlp is None
    assert part.rec[0] == pytest.approx((np.tanh(0.3) - np.tanh(0.1)) / 2, abs=1e-6)
    assert part.rec[1:] == pytest.approx(0, abs=1e-9)
    first, before = (1 + np.tanh(0.3)) / 2, (1 + np.tanh(0.1)) / 2
    others = 0.5 * (len(MENU) - 1)
    expected = first / (first + others) - before / (before + others)
    assert part.probability[0] == pytest.approx(expected, abs=1e-6)


def test_another_policy_than_the_one_that_decided_explains_nothing(policy):
    case = a_case(policy)
    assert contributions(replace(case, rec=np.clip(case.rec + 0.01, 0, 1))) is None


def test_finished_texts_are_explained_by_the_arms_they_show(policy):
    situation, rng = a_situation(n=1), np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(len(LAYOUT.arms)), size=3).astype(np.float32)
    nlp = np.array([[0.3, 0.6, 0.9]])
    scores = policy.rank(situation, nlp, shares=shares)
    case = Case(
        policy, situation, nlp[0], scores.rec[0], scores.probability[0],
        np.ones(3, dtype=bool), allowed=True, arms=None, shares=shares,
    )  # fmt: skip
    found = parts_of(case)
    assert set(found.groups) == set(KNOWN)
    bare = policy.rank(without(situation, "curve"), nlp, shares=shares)
    part = found.groups["curve"]
    assert case.probability - part.probability == pytest.approx(bare.probability[0], abs=1e-9)
