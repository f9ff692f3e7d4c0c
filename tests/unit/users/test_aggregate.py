import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.users.aggregate import causal_means, decayed_sums, latest_sums

HOUR = 3600.0


def test_a_turn_counts_half_after_a_half_life():
    vectors = np.array([[1.0], [3.0], [5.0]], np.float32)
    told = causal_means(vectors, np.zeros(3, int), np.array([0.0, 10.0, 20.0]), half_life_s=10.0)
    assert told.n_before == pytest.approx([0.0, 0.5, 0.75])
    assert told.before[:, 0] == pytest.approx([0.0, 1.0, (0.25 * 1 + 0.5 * 3) / 0.75])
    assert told.n_through == pytest.approx([1.0, 1.5, 1.75])
    assert told.through[:, 0] == pytest.approx([1.0, 3.5 / 1.5, (0.25 * 1 + 0.5 * 3 + 5) / 1.75])


def slow_sums(values, users, ts, half_life):
    result = np.zeros_like(values)
    for i in range(len(values)):
        for j in range(len(values)):
            earlier = ts[j] < ts[i] or (ts[j] == ts[i] and j < i)
            if users[i] == users[j] and earlier:
                result[i] += values[j] * 2.0 ** (-(ts[i] - ts[j]) / half_life)
    return result


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 500)), min_size=1, max_size=30),
    st.floats(1.0, 300.0),
)
def test_sums_agree_with_the_definition_in_any_order(events, half_life):
    users = np.unique([user for user, _ in events], return_inverse=True)[1]
    ts = np.array([float(at) for _, at in events])
    values = np.random.default_rng(0).normal(size=(len(events), 3)).astype(np.float32)
    fast = decayed_sums(values, users, ts, half_life_s=half_life)
    np.testing.assert_allclose(fast, slow_sums(values, users, ts, half_life), atol=2e-4)
    latest, last = latest_sums(values, users, ts, half_life_s=half_life)
    for user in range(users.max() + 1):
        own = users == user
        weight = 2.0 ** (-(ts[own].max() - ts[own]) / half_life)
        np.testing.assert_allclose(latest[user], weight @ values[own], atol=2e-4)
        assert last[user] == ts[own].max()


def test_nothing_later_is_in_a_causal_mean():
    rng = np.random.default_rng(1)
    users, ts = rng.integers(0, 5, 60), rng.uniform(0, 1000 * HOUR, 60)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    whole = causal_means(vectors, users, ts, half_life_s=100 * HOUR)
    past = ts <= np.median(ts)
    part = causal_means(vectors[past], users[past], ts[past], half_life_s=100 * HOUR)
    np.testing.assert_array_equal(whole.through[past], part.through)
    changed = vectors + 100.0 * (~past[:, None])
    other = causal_means(changed.astype(np.float32), users, ts, half_life_s=100 * HOUR)
    np.testing.assert_array_equal(whole.before[past], other.before[past])


def test_a_half_life_far_shorter_than_the_log_neither_overflows_nor_fails():
    ts = np.arange(50.0) * 365 * 24 * HOUR
    sums = decayed_sums(np.ones((50, 1), np.float32), np.zeros(50, int), ts, half_life_s=HOUR)
    assert np.isfinite(sums).all()
    assert sums.max() == 0.0


def test_no_events_give_no_sums():
    nothing = np.zeros((0, 3), np.float32)
    assert decayed_sums(nothing, np.zeros(0, int), np.zeros(0), half_life_s=1.0).shape == (0, 3)
    assert latest_sums(nothing, np.zeros(0, int), np.zeros(0), half_life_s=1.0)[0].shape == (0, 3)
