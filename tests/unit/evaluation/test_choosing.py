import numpy as np
import pytest

from rapport.errors import DataError
from rapport.evaluation.choosing import chosen_clip, chosen_threshold, cuts_of, slope
from rapport.evaluation.estimators import UNCLIPPED, Crossing
from rapport.evaluation.intervals import Terms
from tests.unit.evaluation.logs import a_log, mostly


def around(value, spread):
    """Terms of 100 users with a given mean and standard deviation."""
    row = value + spread * np.tile([-1.0, 1.0], 50)
    ones = np.ones((1, 100))
    return Terms(row[None], ones, np.arange(100), ones[0])


def test_the_steadiest_estimate_that_agrees_is_chosen_by_hand():
    # Bounds are about 1.66 * spread / 10: .166, .083, .017. The last is .3 off the first, more
    # than .017 + 1.449 * .166 = .257; at .2 it agrees.
    assert slope([around(0.0, 1.0), around(0.05, 0.5), around(0.3, 0.1)]) == 1
    assert slope([around(0.0, 1.0), around(0.05, 0.5), around(0.15, 0.1)]) == 2


def test_the_order_of_the_cuts_does_not_matter():
    assert slope([around(0.3, 0.1), around(0.0, 1.0), around(0.05, 0.5)]) == 2


def test_cuts_run_from_none_to_one():
    cuts = cuts_of(np.array([0.1, 16.0]))
    assert cuts[0] == UNCLIPPED
    assert cuts[-1] == pytest.approx(1.0)
    assert max(cuts[1:]) < 16.0
    assert cuts_of(np.array([0.5, 1.0])) == [UNCLIPPED]


def test_a_good_model_is_trusted_and_a_bad_one_is_not():
    log, _, expected = a_log(n=20_000, users=2000)
    target = mostly(0, n=20_000, arms=3)
    assert chosen_threshold(Crossing(log, target, expected)) <= 1.5
    assert chosen_threshold(Crossing(log, target, expected - 0.5)) > 1.5


def test_a_clip_that_would_show_is_not_chosen():
    log, _, _ = a_log(n=20_000, users=2000, gap=0.8)
    crossing = Crossing(log, mostly(0, n=20_000, arms=3))
    clip = chosen_clip(crossing, [UNCLIPPED, 1.0])
    assert clip == UNCLIPPED


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(DataError, match="no estimate"):
        slope([])
