import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.simulation import expected_rewards, simulate, true_value, values

TRUTH = simulate(80, 8, seed=6).decision_truth
REWARDS = expected_rewards(TRUTH)


def small_truth() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "expected_reward": [[0.5, -0.5, 0.1], [0.2, 0.4]],
            "logging_probability": [[0.5, 0.25, 0.25], [0.5, 0.5]],
            "control_reward": [0.0, -0.1],
        }
    )


def test_true_value_is_the_mean_over_decisions_of_the_expected_reward():
    target = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    assert true_value(small_truth(), target) == pytest.approx((0.0 + 0.4) / 2)


def test_the_bracketing_values_by_hand():
    found = values(small_truth())
    assert found.uniform == pytest.approx((0.1 / 3 + 0.3) / 2)
    assert found.logging == pytest.approx((0.25 - 0.125 + 0.025 + 0.3) / 2)
    assert found.control == pytest.approx(-0.05)
    assert found.oracle == pytest.approx((0.5 + 0.4) / 2)


def test_a_menu_shorter_than_the_longest_leaves_its_last_columns_unknown():
    size = TRUTH["arms"].list.len().to_numpy()
    np.testing.assert_array_equal(np.isfinite(REWARDS).sum(axis=1), size)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_no_policy_beats_the_oracle(seed):
    noise = np.random.default_rng(seed).random(REWARDS.shape) * np.isfinite(REWARDS)
    target = noise / noise.sum(axis=1, keepdims=True)
    bounds = values(TRUTH)
    assert true_value(TRUTH, target) <= bounds.oracle
    assert bounds.logging < bounds.oracle


def test_a_decision_tells_what_was_taken_and_what_it_was_worth():
    row = TRUTH.filter(~pl.col("control")).row(0, named=True)
    assert 0 <= row["arm_index"] < len(row["arms"]) == len(row["expected_reward"])
    assert -1 < row["reward"] < 1
    assert TRUTH.filter("control")["arm_index"].unique().to_list() == [-1]
