import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import TooLittleDataError
from rapport.evaluation.intervals import (
    Bootstrap,
    Terms,
    clustered_bootstrap,
    distinct,
    effective_size,
    estimate,
)


def mean_of(values, users):
    values = np.asarray(values, dtype=float)
    ones = np.ones((1, len(values)))
    return Terms(values[None], ones, np.asarray(users), ones[0])


def test_a_mean_and_a_ratio_by_hand():
    assert mean_of([1.0, 2.0, 6.0], [0, 1, 2]).value == 3.0
    ratio = Terms(np.array([[2.0, 4.0]]), np.array([[1.0, 3.0]]), np.arange(2), np.ones(2))
    assert ratio.value == 1.5


def test_a_difference_of_an_estimate_to_itself_is_exactly_zero_in_every_resample():
    terms = mean_of(np.random.default_rng(0).normal(size=40), np.arange(40) % 7)
    assert np.all(clustered_bootstrap([terms.minus(terms)]) == 0.0)


def test_a_difference_on_disjoint_rows_is_the_difference_of_the_values():
    first, second = mean_of([1.0, 3.0], [0, 1]), mean_of([0.5], [2])
    apart = first.minus_apart(second)
    assert apart.value == pytest.approx(1.5)
    assert len(apart.user) == 3
    assert len(apart.weight) == 2  # the sample that carries the candidate


def test_rows_of_one_user_stay_together():
    # Two users, each constant: a resample is all of one, all of the other, or one of each.
    drawn = clustered_bootstrap([mean_of([0.0] * 50 + [1.0] * 50, [0] * 50 + [1] * 50)])
    assert set(np.round(np.unique(drawn), 9)) == {0.0, 0.5, 1.0}


def test_the_bootstrap_stderr_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=400)
    found = estimate(mean_of(values, np.arange(400)), Bootstrap(resamples=4000))
    textbook = values.std() / np.sqrt(400)
    # The standard deviation of B normal draws has a relative error of 1 / sqrt(2 B).
    assert abs(found.stderr / textbook - 1) < 4 / np.sqrt(2 * 4000)
    assert found.low < found.value < found.high


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not():
    terms = mean_of(np.random.default_rng(2).normal(size=60), np.arange(60))
    assert estimate(terms, Bootstrap(seed=3)) == estimate(terms, Bootstrap(seed=3))
    assert estimate(terms, Bootstrap(seed=3)).low != estimate(terms, Bootstrap(seed=4)).low


def test_chunks_of_resamples_add_up_to_all_of_them(monkeypatch):
    monkeypatch.setattr("rapport.evaluation.intervals._CHUNK", 100)
    terms = mean_of(np.arange(30.0), np.arange(30))
    assert clustered_bootstrap([terms], Bootstrap(resamples=11)).shape == (11, 1)


def test_several_estimates_share_their_draws_of_users():
    first = mean_of(np.random.default_rng(3).normal(size=60), np.arange(60) % 20)
    shifted = mean_of(first.numerator[0] + 1.0, first.user)
    part = first.rows(first.user < 5)
    drawn = clustered_bootstrap([first, shifted, part], Bootstrap(resamples=50))
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(1.0)
    assert drawn[:, 2].std() > drawn[:, 0].std()
    assert part.value == pytest.approx(first.numerator[0][first.user < 5].mean())


def test_one_user_cannot_be_resampled():
    with pytest.raises(TooLittleDataError, match="users to resample"):
        estimate(mean_of([1.0, 2.0], ["a", "a"]))


@given(st.lists(st.integers(-3, 40), max_size=30))
def test_distinct_labels_are_the_same_counted_or_sorted(labels):
    array = np.array(labels, dtype=np.int64)
    assert distinct(array).tolist() == sorted(set(labels))
    assert distinct(array + 2_000_000).tolist() == sorted({n + 2_000_000 for n in labels})
    assert distinct(np.array(["b", "a", "b"])).tolist() == ["a", "b"]


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30))
def test_the_effective_size_lies_between_one_and_n(weights):
    size = effective_size(np.array(weights))
    assert 1 - 1e-9 <= size <= len(weights) * (1 + 1e-9)


def test_the_effective_size_by_hand():
    assert effective_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective_size(np.zeros(3)) == 0.0
