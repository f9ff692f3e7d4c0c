import numpy as np
import pytest

from rapport.policy.features import states
from rapport.policy.preference_model import PREFERENCE_FLOOR, PreferenceModel
from tests.unit.policy.worlds import LAYOUT, a_situation


def a_model(*, hidden=5, seed=0):
    rng = np.random.default_rng(seed)
    width, arms = len(LAYOUT.states), len(LAYOUT.arms)
    shapes = {
        "query_in": (width, hidden),
        "query_in_bias": (hidden,),
        "query_out": (hidden, hidden),
        "query_out_bias": (hidden,),
        "key": (arms, hidden),
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return PreferenceModel(LAYOUT, arrays)


def test_a_preference_is_the_action_probability_over_the_largest_one():
    model, situation = a_model(), a_situation(n=5)
    state, mask = states(LAYOUT, situation), LAYOUT.served(situation.agent)
    score = np.where(mask, model.scores(state), -np.inf)
    probability = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    expected = probability / probability.max(axis=1, keepdims=True)
    rec = model.rec(state, mask)
    assert rec[mask] == pytest.approx(np.maximum(expected, PREFERENCE_FLOOR)[mask])
    assert np.all(rec.max(axis=1) == 1.0)
    assert np.all(rec[~mask] == PREFERENCE_FLOOR)


def test_a_score_is_the_product_of_query_and_key_by_hand():
    weights = {
        "query_in": np.zeros((len(LAYOUT.states), 2), dtype=np.float32),
        "query_in_bias": np.array([1.0, -1.0], dtype=np.float32),
        "query_out": np.array([[2.0, 0.0], [0.0, 5.0]], dtype=np.float32),
        "query_out_bias": np.array([0.5, 1.0], dtype=np.float32),
        "key": np.tile(np.array([[1.0, -1.0]], dtype=np.float32), (len(LAYOUT.arms), 1)),
    }
    state = states(LAYOUT, a_situation(n=1))
    # relu([1, -1]) = [1, 0]; query [2.5, 1]; against [1, -1]: 1.5.
    assert PreferenceModel(LAYOUT, weights).scores(state) == pytest.approx(np.full((1, 12), 1.5))


def test_a_text_that_shows_one_arm_scores_as_that_arm():
    model, state = a_model(), states(LAYOUT, a_situation(n=4))
    shares = np.eye(len(LAYOUT.arms), dtype=np.float32)[[1, 7, 7]]
    assert model.scores(state, shares) == pytest.approx(model.scores(state)[:, [1, 7, 7]], abs=1e-5)
