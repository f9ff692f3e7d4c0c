import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from rapport.measuring.agreement import agreement, draws, measured


def test_it_is_the_usual_index_where_everybody_counts_once():
    generator = np.random.default_rng(0)
    for _ in range(20):
        one, other = generator.integers(3, size=40), generator.integers(4, size=40)
        found = agreement(one, other, np.ones((1, 40)))
        assert found[0] == pytest.approx(adjusted_rand_score(one, other))


def test_one_group_on_both_sides_agrees():
    assert agreement(np.zeros(5, int), np.zeros(5, int), np.ones((1, 5)))[0] == 1.0


def test_somebody_drawn_twice_agrees_with_nobody_the_more():
    one, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    # By hand: of four pairs of users no two share both groups, so index and chance stay as they are
    # when everybody is doubled: within and across, each pair of users counts four times.
    once, twice = agreement(one, other, np.array([[1.0] * 4, [2.0] * 4]))
    assert once == pytest.approx(-0.5)
    assert twice == pytest.approx(once)


def test_left_out_users_do_not_count():
    one, other = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    assert agreement(one, other, np.array([[1.0, 1.0, 1.0, 0.0]]))[0] == 1.0


def test_the_first_row_is_the_sample_and_the_others_resample_it():
    drawn = draws(30)
    assert drawn[0].tolist() == [1.0] * 30
    assert set(drawn[1:].sum(axis=1)) == {30.0}
    found = measured(np.concatenate([[0.5], np.linspace(0, 1, 1001)]), 30)
    assert (found.estimate, found.n) == (0.5, 30)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
