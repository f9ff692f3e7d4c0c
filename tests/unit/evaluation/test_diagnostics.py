import numpy as np
import pytest

from rapport.evaluation.diagnostics import (
    ess,
    max_weight,
    overlap,
    reporting_rates,
    sizes_by_label,
    with_reporting_weights,
    with_worst_fill,
)
from rapport.evaluation.estimators import Log, logging_terms

NAN = float("nan")
LOG = Log(
    action=np.array([0, 0, 1, 1, 1]),
    reward=np.array([1.0, NAN, 0.0, 0.5, NAN]),
    propensity=np.full(5, 0.5),
    user=np.array([1, 1, 2, 3, 3]),
)


def test_sizes_and_weights_by_hand():
    assert ess(np.array([2.0, 2.0])) == 2.0
    assert max_weight(np.array([0.5, 3.0])) == 3.0
    assert max_weight(np.array([])) == 0.0


def test_overlap_is_the_share_of_the_target_on_arms_the_log_may_hold():
    target = np.array([[0.5, 0.5], [0.2, 0.8]])
    assert overlap(target, np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx(0.75)
    assert overlap(target, np.array([[0.99, 0.01], [0.5, 0.5]]), floor=0.05) == pytest.approx(0.75)


def test_reporting_rates_by_arm_leave_out_arms_never_taken():
    assert reporting_rates(LOG, ["a", "b", "c"]) == {"a": 0.5, "b": pytest.approx(2 / 3)}


def test_sizes_by_label_count_rows_users_and_effective_rows():
    table = sizes_by_label(LOG, np.ones(5), np.array(["s", "s", "t", "t", "t"]))
    assert table == {"s": {"n": 2, "users": 1, "ess": 2}, "t": {"n": 3, "users": 2, "ess": 3}}


def test_the_rows_that_reported_stand_for_the_silent_ones_of_their_arm():
    weighted, kept = with_reporting_weights(LOG, np.zeros((5, 2)))
    assert kept.tolist() == [True, False, True, True, False]
    assert weighted.weight == pytest.approx([2.0, 1.5, 1.5])
    assert weighted.weight.sum() == len(LOG)


def test_the_worst_fill_puts_minus_one_for_silence():
    assert with_worst_fill(LOG).reward.tolist() == [1.0, -1.0, 0.0, 0.5, -1.0]


def test_who_leaves_angry_in_silence_flatters_an_arm_and_the_fill_shows_it():
    # 30 % unhappy at -.98, 70 % at .48; 80 % of the unhappy leave without a word.
    rng = np.random.default_rng(0)
    n = 40_000
    unhappy = rng.random(n) < 0.3
    felt = np.where(unhappy, -0.98, 0.48)
    shown = np.where(unhappy & (rng.random(n) < 0.8), NAN, felt)
    log = Log(np.zeros(n, dtype=int), shown, np.ones(n), np.arange(n))
    seen = logging_terms(log.rows(~np.isnan(shown))).value
    spread = 4 * felt.std() / np.sqrt(n)
    assert seen > felt.mean() + 0.2
    assert (
        abs(logging_terms(with_worst_fill(log)).value - (felt.mean() - 0.3 * 0.8 * 0.02)) < spread
    )
