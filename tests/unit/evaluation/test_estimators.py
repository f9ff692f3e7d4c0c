from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import DataError
from rapport.evaluation.estimators import (
    UNCLIPPED,
    Crossing,
    Log,
    clipped,
    direct_method,
    direct_terms,
    doubly_robust,
    dr_gain_terms,
    dr_terms,
    importance_weights,
    ips,
    ips_terms,
    logging_terms,
    self_normalised_doubly_robust,
    sndr_terms,
    snips,
    snips_gain_terms,
    snips_terms,
    switch_doubly_robust,
    switch_dr_terms,
)
from tests.unit.evaluation.logs import a_log, mostly

# Two arms, three rows, by hand: weights .8/.5 = 1.6, .2/.5 = .4, .8/.8 = 1.
WORKED = Log(
    action=np.array([0, 1, 0]),
    reward=np.array([1.0, 0.5, -1.0]),
    propensity=np.array([0.5, 0.5, 0.8]),
    user=np.array(["a", "b", "c"]),
)
TARGET = np.array([[0.8, 0.2]] * 3)
Q_HAT = np.array([[0.5, 0.0]] * 3)


def test_weights_by_hand():
    assert importance_weights(WORKED, TARGET) == pytest.approx([1.6, 0.4, 1.0])
    assert importance_weights(WORKED, TARGET, clip=1.2) == pytest.approx([1.2, 0.4, 1.0])


def test_every_estimator_by_hand():
    assert ips_terms(WORKED, TARGET).value == pytest.approx((1.6 + 0.2 - 1.0) / 3)
    assert ips_terms(WORKED, TARGET, clip=1.2).value == pytest.approx((1.2 + 0.2 - 1.0) / 3)
    assert snips_terms(WORKED, TARGET).value == pytest.approx(0.8 / 3.0)
    assert direct_terms(WORKED, TARGET, Q_HAT).value == pytest.approx(0.4)
    residuals = 1.6 * 0.5 + 0.4 * 0.5 + 1.0 * -1.5
    assert dr_terms(WORKED, TARGET, Q_HAT).value == pytest.approx(0.4 + residuals / 3)
    assert sndr_terms(WORKED, TARGET, Q_HAT).value == pytest.approx(0.4 + residuals / 3.0)
    switched = (0.4 * 0.5 + 1.0 * -1.5) / 3
    found = switch_dr_terms(WORKED, TARGET, Q_HAT, threshold=1.0).value
    assert found == pytest.approx(0.4 + switched)


def test_the_estimates_carry_value_interval_and_sample():
    for found in (
        ips(WORKED, TARGET),
        clipped(WORKED, TARGET, clip=1.2),
        snips(WORKED, TARGET),
        direct_method(WORKED, TARGET, Q_HAT),
        doubly_robust(WORKED, TARGET, Q_HAT),
        self_normalised_doubly_robust(WORKED, TARGET, Q_HAT),
        switch_doubly_robust(WORKED, TARGET, Q_HAT, threshold=2.0),
    ):
        assert found.n == found.users == 3
        assert found.low <= found.value <= found.high
        assert 1 <= found.ess <= 3
    assert ips(WORKED, TARGET).max_weight == pytest.approx(1.6)
    assert clipped(WORKED, TARGET, clip=1.2).max_weight == pytest.approx(1.2)


@given(seed=st.integers(0, 10_000), arms=st.integers(2, 6))
@settings(max_examples=25)
def test_the_logging_policy_itself_is_worth_exactly_the_mean_reward(seed, arms):
    log, logging, _ = a_log(n=60, arms=arms, users=9, seed=seed)
    mean = log.reward.mean()
    assert ips_terms(log, logging).value == pytest.approx(mean, abs=1e-12)
    assert snips_terms(log, logging).value == pytest.approx(mean, abs=1e-12)
    assert snips_terms(log, logging).minus(logging_terms(log)).value == pytest.approx(0, abs=1e-12)


def test_the_paired_gain_by_hand():
    logged = replace(WORKED, probabilities=np.array([[0.5, 0.5], [0.5, 0.5], [0.8, 0.2]]))
    # (.8 - .5) * .5 + .6 * .5, .3 * .5 - .6 * .5, 0 + 0 * -1.5.
    assert dr_gain_terms(logged, TARGET, Q_HAT).value == pytest.approx((0.45 - 0.15 + 0.0) / 3)


def test_a_paired_gain_is_exactly_nothing_on_rows_where_the_policies_agree():
    log, logging, _ = a_log(n=200)
    target = mostly(0, n=200, arms=3)
    target[:150] = logging[:150]
    q_hat = np.random.default_rng(5).normal(size=(200, 3))
    terms = dr_gain_terms(log, target, q_hat)
    assert terms.numerator[0, :150] == pytest.approx(0.0, abs=1e-12)
    assert np.abs(terms.numerator[0, 150:]).max() > 0.01


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_without_logged_probabilities_the_paired_gain_is_the_plain_difference(seed):
    log, _, expected = a_log(n=60, users=9, seed=seed)
    target = mostly(1, n=60, arms=3)
    bare = replace(log, probabilities=None)
    plain = dr_terms(log, target, expected).minus(logging_terms(log)).value
    unknown = replace(log, probabilities=np.full((60, 3), np.nan))
    assert dr_gain_terms(bare, target, expected).value == pytest.approx(plain, abs=1e-12)
    assert dr_gain_terms(unknown, target, expected).value == pytest.approx(plain, abs=1e-12)
    assert snips_gain_terms(log, target).value == pytest.approx(
        snips_terms(log, target).value - log.reward.mean(), abs=1e-12
    )


@given(shift=st.floats(-0.5, 0.5))
def test_snips_moves_with_a_shift_of_the_reward_and_ips_need_not(shift):
    log, _, _ = a_log(n=50)
    target = mostly(0, n=50, arms=3)
    moved = log.rewarded(log.reward + shift)
    change = snips_terms(moved, target).value - snips_terms(log, target).value
    assert change == pytest.approx(shift, abs=1e-9)


def test_a_perfect_model_makes_the_doubly_robust_residual_vanish():
    log, _, expected = a_log()
    log = log.rewarded(expected[np.arange(len(log)), log.action])
    target = mostly(0, n=len(log), arms=3)
    truth = (target * expected).sum(axis=1).mean()
    assert dr_terms(log, target, expected).value == pytest.approx(truth, abs=1e-12)
    assert direct_terms(log, target, expected).value == pytest.approx(truth, abs=1e-12)


def test_switching_runs_from_the_direct_method_to_doubly_robust():
    log, _, expected = a_log()
    target = mostly(0, n=len(log), arms=3)
    crossing = Crossing(log, target, expected + 0.1)
    assert crossing.switch_dr(threshold=UNCLIPPED).value == crossing.dr().value
    assert crossing.switch_dr(threshold=0.0).value == crossing.direct().value


def test_a_model_that_is_missing_or_of_another_shape_is_refused():
    with pytest.raises(DataError, match="no q_hat"):
        Crossing(WORKED, TARGET).dr()
    with pytest.raises(DataError, match="q_hat has shape"):
        Crossing(WORKED, TARGET, Q_HAT[:2]).direct()


def test_a_row_weight_counts_like_repeated_rows():
    target = TARGET[[0, 1]]
    weighted = replace(WORKED.rows(np.array([0, 1])), row_weight=np.array([2.0, 1.0]))
    repeated = WORKED.rows(np.array([0, 0, 1]))
    assert snips_terms(weighted, target).value == pytest.approx(snips_terms(repeated, TARGET).value)


def test_rows_of_a_log_keep_their_arrays_together():
    kept = WORKED.rows(np.array([False, True, True]))
    assert kept.user.tolist() == ["b", "c"]
    assert kept.reward.tolist() == [0.5, -1.0]


def test_a_propensity_of_zero_is_refused():
    with pytest.raises(DataError, match="propensity 0"):
        Log(np.array([0]), np.array([1.0]), np.array([0.0]), np.array(["a"]))


def test_arrays_of_different_length_are_refused():
    with pytest.raises(DataError, match="rows"):
        Log(np.array([0, 1]), np.array([1.0]), np.array([0.5]), np.array(["a"]))


def test_a_target_that_is_no_distribution_over_the_arms_is_refused():
    with pytest.raises(DataError, match="sum to 1"):
        importance_weights(WORKED, TARGET * 1.01)
    with pytest.raises(DataError, match="negative"):
        importance_weights(WORKED, np.array([[1.2, -0.2]] * 3))
    with pytest.raises(DataError, match="shape"):
        importance_weights(WORKED, TARGET[:2])
    with pytest.raises(DataError, match="shape"):
        importance_weights(WORKED, np.ones((3, 1)))


def test_silence_is_not_taken_for_a_reward():
    silent = WORKED.rewarded(np.array([1.0, np.nan, 0.0]))
    with pytest.raises(DataError, match="no reward"):
        ips_terms(silent, TARGET)


FAMILY = {
    "ips": lambda log, target, q: ips_terms(log, target),
    "clipped": lambda log, target, q: ips_terms(log, target, clip=5.0),
    "snips": lambda log, target, q: snips_terms(log, target),
    "direct": direct_terms,
    "dr": dr_terms,
    "sn-dr": sndr_terms,
    "switch-dr": lambda log, target, q: switch_dr_terms(log, target, q, threshold=1.2),
}


@pytest.mark.parametrize("name", FAMILY)
def test_every_estimator_keeps_the_contract_of_its_family(name):
    log, _, expected = a_log(n=80, users=8)
    target = mostly(0, n=80, arms=3)
    terms = FAMILY[name](log, target, expected)
    order = np.random.default_rng(0).permutation(80)
    shuffled = FAMILY[name](log.rows(order), target[order], expected[order])
    assert shuffled.value == pytest.approx(terms.value, abs=1e-12)
    twice = np.tile(np.arange(80), 2)
    doubled = FAMILY[name](log.rows(twice), target[twice], expected[twice])
    assert doubled.value == pytest.approx(terms.value, abs=1e-12)
    assert terms.numerator.shape == terms.denominator.shape
    assert len(terms.user) == len(terms.weight) == 80
    assert np.all(terms.weight >= 0)


@pytest.mark.parametrize("name", FAMILY)
@given(scale=st.floats(0.1, 3.0))
@settings(max_examples=10)
def test_every_estimate_scales_with_the_reward(name, scale):
    log, _, expected = a_log(n=40, users=8)
    target = mostly(1, n=40, arms=3)
    once = FAMILY[name](log, target, expected).value
    more = FAMILY[name](log.rewarded(scale * log.reward), target, scale * expected).value
    assert more == pytest.approx(scale * once, abs=1e-9)
