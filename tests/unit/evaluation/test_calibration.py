import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.evaluation.calibration import BINS, Bin, calibration, calibration_error


def test_a_worked_example():
    predicted = np.array([0.1, 0.1, 0.9, 0.9])
    bins = calibration(predicted, np.array([0.0, 1.0, 1.0, 1.0]))
    assert bins == (Bin(0.1, 0.5, 2), Bin(0.9, 1.0, 2))
    assert calibration_error(bins) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)


def test_weights_count_and_those_of_zero_do_not():
    bins = calibration(
        np.array([0.5, 0.5, 0.5]), np.array([1.0, 0.0, 0.0]), weight=np.array([3.0, 1.0, 0.0])
    )
    assert bins == (Bin(0.5, 0.75, 2),)


def test_nothing_predicted_has_no_curve():
    assert calibration(np.array([]), np.array([])) == ()
    assert math.isnan(calibration_error(()))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200))
def test_every_prediction_is_in_one_bin_and_bins_ascend(pairs):
    predicted = np.array([p for p, _ in pairs])
    bins = calibration(predicted, np.array([float(came) for _, came in pairs]))
    assert sum(each.n for each in bins) == len(pairs)
    assert len(bins) <= BINS
    assert all(a.predicted < b.predicted for a, b in pairwise(bins))


def test_honest_probabilities_lie_on_the_line():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(size=20_000)
    bins = calibration(predicted, (rng.uniform(size=20_000) < predicted).astype(float))
    for each in bins:
        assert abs(each.observed - each.predicted) < 4 * math.sqrt(0.25 / each.n)
