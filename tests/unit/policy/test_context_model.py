from dataclasses import replace

import numpy as np

from rapport.evaluation.calibration import calibration_error
from rapport.evaluation.intervals import effective_size
from rapport.policy.context_model import NLP_FLOOR, ContextSettings, fit_context_model
from rapport.policy.reward_model import FOLDS, fold_of
from tests.unit.policy.worlds import a_situation, a_world


def a_fitting_world(*, n=4000, seed=3):
    """The first menu arm goes well after sad messages, the second after glad ones."""
    data, _ = a_world(n=n, seed=seed, silent=0.0)
    menu = np.flatnonzero(data.mask[0])
    fits = np.where(data.situation.sentiment < 0, menu[0], menu[1])
    noise = np.random.default_rng(seed).normal(size=n)
    reward = np.where(data.action == fits, 0.5, -0.2) + 0.1 * noise
    return replace(data, reward=np.clip(reward, -1, 1)), menu


def test_nlp_prefers_what_good_supporters_did_in_such_a_context():
    data, menu = a_fitting_world()
    model = fit_context_model(data)
    nlp = model.nlp(data.situation, data.mask)
    sad = data.situation.sentiment < -0.3
    glad = data.situation.sentiment > 0.3
    assert nlp[sad, menu[0]].mean() > 2 * nlp[sad, menu[1]].mean()
    assert nlp[glad, menu[1]].mean() > 2 * nlp[glad, menu[0]].mean()


def test_nlp_is_a_floored_distribution_over_the_menu():
    data, _ = a_world(n=800)
    nlp = fit_context_model(data).nlp(data.situation, data.mask)
    assert np.all((nlp >= NLP_FLOOR) & (nlp <= 1))
    assert np.all(nlp[~data.mask] == NLP_FLOOR)
    assert np.abs(np.where(data.mask, nlp, 0).sum(axis=1) - 1).max() < 8 * NLP_FLOOR


def test_what_the_logging_policy_liked_to_do_is_not_taken_for_good():
    # Rewards do not depend on the arm; one arm was taken three times as often as the next.
    data, _ = a_world(n=6000, gap=0.0, silent=0.0)
    nlp = fit_context_model(data).nlp(data.situation, data.mask)[:, data.mask[0]].mean(axis=0)
    logged = data.probabilities[:, data.mask[0]].mean(axis=0)
    assert np.ptp(nlp) < 0.5 * np.ptp(logged)


def test_without_a_good_row_all_arms_fit_alike():
    data, _ = a_world(n=200)
    dull = replace(data, reward=np.zeros(200))
    nlp = fit_context_model(dull).nlp(data.situation, data.mask)
    assert np.allclose(nlp[data.mask], 1 / 8)


def test_probabilities_are_calibrated_on_users_the_fit_did_not_see():
    # Held to its word: where the model says 70 %, the arm has 70 % of what went well.
    data, menu = a_fitting_world(n=6000)
    data = replace(data, propensity=np.full(6000, 1 / 8))
    model = fit_context_model(data.part("train"))
    fresh = data.part("gate")
    said = model.nlp(fresh.situation, fresh.mask)[:, menu[0]]
    sure = said > 0.5
    weight = np.maximum(fresh.reward - np.median(data.reward), 0.0)[sure]
    share = weight[fresh.action[sure] == menu[0]].sum() / weight.sum()
    size = effective_size(weight)
    assert size > 20
    assert abs(share - np.average(said[sure], weights=weight)) < 4 * np.sqrt(0.25 / size)


def test_whichever_users_are_left_out_it_is_calibrated_on_some_that_its_fit_did_not_see():
    data, _ = a_fitting_world(n=3000)
    whole = fit_context_model(data).weights["temperature"]
    for fold in range(FOLDS):
        model = fit_context_model(data.rows(fold_of(data.user) != fold))
        assert sum(each.n for each in model.calibration) > 0
        assert 0.5 < model.weights["temperature"] / whole < 2.0


def test_vetoed_arms_leave_their_share_to_the_others():
    data, menu = a_fitting_world(n=1000)
    model = fit_context_model(data, ContextSettings(dimensions=4))
    mask = data.mask.copy()
    mask[:, menu[0]] = False
    nlp = model.nlp(data.situation, mask)
    assert np.all(nlp[:, menu[0]] == NLP_FLOOR)
    assert np.abs(np.where(mask, nlp, 0).sum(axis=1) - 1).max() < 8 * NLP_FLOOR


def test_a_conversation_start_is_a_context_of_its_own():
    data, _ = a_world(n=500)
    model = fit_context_model(data)
    start, later = a_situation(n=1), replace(a_situation(n=1), previous_arm=np.array([3]))
    mask = data.mask[:1]
    assert model.nlp(start, mask).shape == model.nlp(later, mask).shape == mask.shape


def test_its_curve_comes_from_held_out_users_and_keeps_its_word():
    data, _ = a_fitting_world(n=6000)
    curve = fit_context_model(replace(data, propensity=np.full(6000, 1 / 8))).calibration
    assert len(curve) > 3
    assert calibration_error(curve) < 0.05
    assert curve[-1].observed > 0.5 > curve[0].observed
