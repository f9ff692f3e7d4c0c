import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.concentration import Range, empirical_bernstein, student_t, trimmed
from rapport.evaluation.estimators import Crossing
from rapport.evaluation.intervals import Bootstrap, Terms, estimate
from tests.unit.evaluation.logs import a_log, mostly


def mean_of(values, users):
    values = np.asarray(values, dtype=float)
    ones = np.ones((1, len(values)))
    return Terms(values[None], ones, np.asarray(users), ones[0])


def test_students_interval_by_hand():
    # Mean 2, deviations -1, 0, 1: standard error 1 / sqrt(3), t of 2 degrees 4.3027.
    found = student_t(mean_of([1.0, 2.0, 3.0], [0, 1, 2]))
    assert found.stderr == pytest.approx(3**-0.5)
    assert found.high - 2.0 == pytest.approx(4.302653 * 3**-0.5)


def test_students_interval_adds_up_the_rows_of_a_user():
    # Two users of two rows: each moves the mean by 2 * .5 / 4; times sqrt(2 / 1).
    found = student_t(mean_of([1.0, 1.0, 2.0, 2.0], ["a", "a", "b", "b"]))
    assert found.stderr == pytest.approx(np.sqrt(2 * 2 * 0.25**2))
    assert found.users == 2


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_student_and_bootstrap_agree_on_the_spread_of_a_difference_of_ratios(seed):
    log, _, expected = a_log(n=2000, users=300, seed=seed)
    crossing = Crossing(log, mostly(0, n=2000, arms=3), expected)
    terms = crossing.snips().minus(crossing.sndr())
    drawn = estimate(terms, Bootstrap(resamples=1000, seed=seed))
    # The bootstrap's own relative error is 1 / sqrt(2 * 1000); 300 users of unlike weights leave
    # a tenth to what a straight line misses.
    assert student_t(terms).stderr == pytest.approx(drawn.stderr, rel=4 / np.sqrt(2000) + 0.1)


def test_the_empirical_bernstein_bound_by_hand():
    # Five users of one row: mean .4, variance .3; ln(4 / .05) = 4.38203.
    found = empirical_bernstein(mean_of([0, 1, 0, 1, 0], range(5)), Range(0.0, 1.0))
    half = np.sqrt(2 * 0.3 * 4.38203 / 5) + 7 * 4.38203 / (3 * 4)
    assert found.high - found.value == pytest.approx(half, rel=1e-5)


def test_a_user_of_many_rows_widens_the_bound():
    values = np.tile([0.0, 1.0], 20)
    alone = empirical_bernstein(mean_of(values, range(40)), Range(0.0, 1.0))
    lumped = empirical_bernstein(mean_of(values, [*range(20), *[20] * 20]), Range(0.0, 1.0))
    assert lumped.high - lumped.low > 2 * (alone.high - alone.low)


def test_a_ratio_and_a_row_outside_the_range_are_refused():
    log, _, _ = a_log()
    with pytest.raises(DataError, match="ratio of sums"):
        empirical_bernstein(Crossing(log, mostly(0, n=400, arms=3)).snips(), Range(-9.0, 9.0))
    with pytest.raises(DataError, match="outside 0 to 1"):
        empirical_bernstein(mean_of([0.0, 2.0], [0, 1]), Range(0.0, 1.0))


def test_the_trimmed_interval_charges_the_missing_weight_by_hand():
    log, _, _ = a_log(n=4000, users=4000)
    target = mostly(0, n=4000, arms=3)
    crossing = Crossing(log, target)
    cut = np.minimum(crossing.weight, 1.5)
    found = trimmed(log, target, clip=1.5)
    least = (cut * (log.reward + 1)).mean() - 1
    most = 1 - (cut * (1 - log.reward)).mean()
    assert found.value == pytest.approx((least + most) / 2)
    assert found.low < least < most < found.high


def test_the_trimmed_interval_never_leaves_the_range_of_the_reward():
    log, _, _ = a_log(n=10, users=10)
    found = trimmed(log, mostly(0, n=10, arms=3), clip=10.0)
    assert (found.low, found.high) == (-1.0, 1.0)
    with pytest.raises(DataError, match="outside 0 to 1"):
        trimmed(log, mostly(0, n=10, arms=3), clip=10.0, within=Range(0.0, 1.0))


def test_one_user_has_no_spread():
    with pytest.raises(TooLittleDataError, match="spread"):
        student_t(mean_of([1.0, 2.0], [0, 0]))
    with pytest.raises(TooLittleDataError, match="spread"):
        empirical_bernstein(mean_of([1.0, 0.0], [0, 0]), Range(0.0, 1.0))
