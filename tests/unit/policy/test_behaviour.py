import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rapport.errors import ConfigError, DataError
from rapport.policy.behaviour import SUM_TOLERANCE, Behaviour, draw

ALL = np.ones((1, 3), dtype=bool)
NLP = np.array([[0.5, 0.25, 0.25]])
REC = np.array([[0.5, 0.8, 0.5]])
score = arrays(np.float64, (4, 5), elements=st.floats(1e-6, 1.0))
masks = arrays(np.bool_, (4, 5)).map(lambda m: m | (np.arange(5) == 2))


def test_the_plain_product_by_hand():
    # Products .25, .2, .125 of .575; epsilon .3 adds .1 each.
    found = Behaviour(epsilon=0.3).probabilities(NLP, REC, mask=ALL)
    assert found[0] == pytest.approx(0.7 * np.array([0.25, 0.2, 0.125]) / 0.575 + 0.1, abs=1e-12)


def test_sharpening_by_hand():
    found = Behaviour(a=0.0, b=2.0, temperature=0.5).probabilities(NLP, REC, mask=ALL)
    raised = np.array([0.5, 0.8, 0.5]) ** 4
    assert found[0] == pytest.approx(raised / raised.sum(), abs=1e-12)


def test_without_temperature_and_floor_the_best_product_is_taken():
    assert Behaviour(temperature=0.0).probabilities(NLP, REC, mask=ALL).tolist() == [[1, 0, 0]]


def test_a_falling_temperature_comes_to_the_same():
    cold = Behaviour(temperature=1e-4).probabilities(NLP, REC, mask=ALL)
    assert cold == pytest.approx(Behaviour(temperature=0.0).probabilities(NLP, REC, mask=ALL))


def test_a_vetoed_candidate_leaves_before_the_others_share():
    mask = np.array([[False, True, True]])
    found = Behaviour(epsilon=0.2).probabilities(NLP, REC, mask=mask)
    assert found[0, 0] == 0.0
    assert found[0, 1:] == pytest.approx(0.8 * np.array([0.2, 0.125]) / 0.325 + 0.1)


def test_an_unsafe_candidate_is_never_drawn_by_chance_alone():
    safe = np.array([[True, True, False]])
    found = Behaviour(epsilon=0.2).probabilities(NLP, REC, mask=ALL, safe=safe)
    assert found[0, 2] == 0.0
    assert found[0, :2] == pytest.approx(0.8 * np.array([0.25, 0.2]) / 0.45 + 0.1)


def test_an_unsafe_candidate_takes_part_where_it_scores_best_but_gets_no_floor():
    safe = np.array([[False, True, True]])
    found = Behaviour(epsilon=0.2).probabilities(NLP, REC, mask=ALL, safe=safe)
    assert found[0] == pytest.approx(
        0.8 * np.array([0.25, 0.2, 0.125]) / 0.575 + np.array([0, 0.1, 0.1])
    )


def test_nothing_is_left_to_chance_where_exploring_is_forbidden():
    explore = np.array([False, True])
    found = Behaviour(epsilon=0.3).probabilities(
        np.repeat(NLP, 2, 0), np.repeat(REC, 2, 0), mask=np.repeat(ALL, 2, 0), explore=explore
    )
    assert found[0].tolist() == [1, 0, 0]
    assert found[1].min() >= 0.1


def test_equally_good_candidates_share():
    even = np.full((1, 3), 0.5)
    found = Behaviour(temperature=0.0).probabilities(even, even, mask=ALL)
    assert found[0] == pytest.approx([1 / 3] * 3)


@given(score, score, masks, masks, st.integers(0, 63))
def test_probabilities_are_a_distribution_over_what_remains(nlp, rec, mask, safe, seed):
    rng = np.random.default_rng(seed)
    behaviour = Behaviour(
        a=rng.uniform(0, 8), b=rng.uniform(0, 64), temperature=rng.uniform(0.05, 2), epsilon=0.1
    )
    found = behaviour.probabilities(nlp, rec, mask=mask, safe=safe)
    assert found.dtype == np.float64
    assert np.abs(found.sum(axis=1) - 1).max() <= SUM_TOLERANCE
    assert np.all(found[~mask] == 0)
    assert np.all(found >= 0)
    open_to_chance = mask & safe
    floor = 0.1 / open_to_chance.sum(axis=1, keepdims=True)
    assert np.all(np.where(open_to_chance, found >= floor - 1e-15, True))


@given(score, score)
def test_a_row_does_not_depend_on_its_neighbours(nlp, rec):
    behaviour, mask = Behaviour(b=16.0, temperature=0.5, epsilon=0.1), np.ones((4, 5), dtype=bool)
    whole = behaviour.probabilities(nlp, rec, mask=mask)
    for row in range(4):
        part = slice(row, row + 1)
        alone = behaviour.probabilities(nlp[part], rec[part], mask=mask[part])
        assert np.array_equal(alone[0], whole[row])


def test_a_decision_without_candidates_and_scores_out_of_range_are_refused():
    with pytest.raises(DataError, match="no candidate left"):
        Behaviour().probabilities(NLP, REC, mask=~ALL)
    with pytest.raises(DataError, match="rec leaves"):
        Behaviour().probabilities(NLP, np.array([[0.5, 0.0, 0.5]]), mask=ALL)
    with pytest.raises(DataError, match="nlp leaves"):
        Behaviour().probabilities(np.array([[0.5, 1.5, np.nan]]), REC, mask=ALL)


@pytest.mark.parametrize("wrong", [{"a": -1.0}, {"temperature": -0.1}, {"epsilon": 1.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        Behaviour(**wrong)


@given(arrays(np.float64, 6, elements=st.floats(0, 1)), st.integers(0, 2**63 - 1))
def test_a_draw_replays_from_logged_probabilities_and_seed(raw, seed):
    raw[3] += 0.1
    probability = raw / raw.sum()
    index = draw(probability, seed)
    assert draw(np.array(probability.tolist()), seed) == index
    assert probability[index] > 0


def test_draws_come_as_often_as_their_probabilities_say():
    probability = np.array([0.0, 0.6, 0.0, 0.3, 0.1])
    n = 5000
    counts = np.bincount([draw(probability, seed) for seed in range(n)], minlength=5)
    stderr = np.sqrt(probability * (1 - probability) / n)
    assert np.all(np.abs(counts / n - probability) <= 4 * stderr)
