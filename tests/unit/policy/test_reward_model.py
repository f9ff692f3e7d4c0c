from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.policy.features import feature_matrix
from rapport.policy.reward_model import (
    FOLDS,
    RewardSettings,
    fit_reward_model,
    fold_of,
    taken_features,
)
from tests.unit.policy.worlds import a_world

DATA, EXPECTED = a_world()
MODEL = fit_reward_model(DATA, seed=1)


def test_the_model_learns_what_each_persona_likes():
    q = MODEL.q(DATA.states)
    held = DATA.mask
    assert np.corrcoef(q[held], EXPECTED[held])[0, 1] > 0.9
    assert np.abs(q).max() < 1


def test_held_out_predictions_come_from_the_network_that_never_saw_the_user():
    every = MODEL.q_of_folds(DATA.states)
    fold = fold_of(DATA.user)
    assert every.shape[0] == FOLDS
    held_out = MODEL.q_held_out(DATA)
    for row in (0, 17, 99):
        assert np.array_equal(held_out[row], every[fold[row], row])
    rec = MODEL.rec_held_out(DATA)
    assert rec[DATA.mask] == pytest.approx((1 + held_out[DATA.mask]) / 2)
    assert np.all(rec[~DATA.mask] == MODEL.rec(DATA.states, DATA.mask)[~DATA.mask])


def test_a_network_does_not_change_with_the_rewards_of_its_own_fold():
    fold = fold_of(DATA.user)
    changed = DATA.reward.copy()
    changed[fold == 0] = -changed[fold == 0]
    other = fit_reward_model(replace(DATA, reward=changed), seed=1)
    state = DATA.states[:50]
    same, moved = MODEL.q_of_folds(state), other.q_of_folds(state)
    assert np.abs(same[0] - moved[0]).max() < 1e-4
    assert np.abs(same[1] - moved[1]).max() > 1e-2


def test_users_stay_in_their_fold_and_folds_are_even():
    users = np.array([f"user-{i}" for i in range(3000)])
    fold = fold_of(users)
    assert np.array_equal(fold_of(users[::-1])[::-1], fold)
    share = np.bincount(fold, minlength=FOLDS) / 3000
    assert np.abs(share - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 3000) + 1 / 256


def test_rec_is_half_of_one_plus_q_and_the_floor_outside_the_mask():
    state = DATA.states[:20]
    rec = MODEL.rec(state, DATA.mask[:20])
    inside = DATA.mask[:20]
    assert rec[inside] == pytest.approx((1 + MODEL.q(state)[inside]) / 2)
    assert np.all(rec[~inside] == rec[~inside].min())
    assert np.all((rec > 0) & (rec <= 1))


def test_batch_size_does_not_change_a_prediction_beyond_rounding():
    state = DATA.states[:64]
    alone = np.concatenate([MODEL.q(state[i : i + 1]) for i in range(64)])
    assert np.abs(alone - MODEL.q(state)).max() < 1e-5


def test_a_text_that_shows_one_arm_scores_as_that_arm():
    state = DATA.states[:3]
    shares = np.eye(len(DATA.layout.arms), dtype=np.float32)[[4, 6]]
    assert MODEL.q(state, shares) == pytest.approx(MODEL.q(state)[:, [4, 6]], abs=1e-6)
    per_row = np.repeat(shares[None], 3, axis=0)
    assert MODEL.q(state, per_row) == pytest.approx(MODEL.q(state, shares), abs=1e-6)


def test_predictions_are_those_of_the_networks_on_the_features_laid_out():
    state, w = DATA.states[:5], MODEL.weights
    shares = np.random.default_rng(0).dirichlet(np.ones(len(DATA.layout.arms)), (5, 7))
    x = feature_matrix(DATA.layout, state, shares.astype(np.float32))
    for fold in range(FOLDS):
        bent = np.maximum(x @ w["hidden"][fold] + w["hidden_bias"][fold], 0.0) @ w["out"][fold]
        q = np.tanh(x @ w["linear"][fold] + w["bias"][fold] + bent)
        assert MODEL.q_of_folds(state, shares.astype(np.float32))[fold] == pytest.approx(
            q, abs=1e-5
        )


@pytest.mark.parametrize("target", ["ips", "dr"])
def test_weighted_and_doubly_robust_targets_learn_the_same_tastes(target):
    q = fit_reward_model(DATA, RewardSettings(target=target), seed=1).q(DATA.states)
    assert np.corrcoef(q[DATA.mask], EXPECTED[DATA.mask])[0, 1] > 0.85


def test_texts_that_show_one_arm_each_teach_what_their_arms_do():
    pure = np.broadcast_to(np.eye(len(DATA.layout.arms), dtype=np.float32), (len(DATA), 12, 12))
    few = DATA.rows(np.arange(300))
    shown = replace(few, shares=np.ascontiguousarray(pure[:300]))
    settings = RewardSettings(epochs=2)
    first, second = (fit_reward_model(data, settings, seed=5) for data in (few, shown))
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_training_features_are_servings():
    whole = feature_matrix(DATA.layout, DATA.states[:9])
    assert np.array_equal(taken_features(DATA)[:9], whole[np.arange(9), DATA.action[:9]])


def test_the_same_seed_gives_the_same_model():
    few = DATA.rows(np.arange(300))
    settings = RewardSettings(epochs=2)
    first, second = (fit_reward_model(few, settings, seed=5) for _ in range(2))
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_too_few_rewards_are_refused():
    with pytest.raises(TooLittleDataError):
        fit_reward_model(DATA.rows(np.arange(20)))


def test_each_pass_tells_its_error_on_what_was_learned_from_and_on_the_users_left_out():
    told = MODEL.learning
    assert told is not None
    known = DATA.reported
    assert told.examples == known.sum()
    assert len(told.learned) == len(told.held_out) == RewardSettings().epochs
    assert told.constant == pytest.approx(DATA.reward[known].var(), abs=1e-5)
    assert told.constant is not None
    assert told.held_out[-1] < told.constant
    # What the trained networks are off by on the users that each did not see: the last pass, of
    # a schedule that ends near 0, changed them little.
    q = MODEL.q_held_out(DATA.rows(known))
    off = (q[np.arange(known.sum()), DATA.action[known]] - DATA.reward[known]) ** 2
    assert told.held_out[-1] == pytest.approx(off.mean(), rel=0.03)
    assert told.learned[-1] < told.held_out[-1]
