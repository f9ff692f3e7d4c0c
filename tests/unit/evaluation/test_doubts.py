from dataclasses import replace

import numpy as np
import pytest

from rapport.evaluation.calibration import calibration_error
from rapport.evaluation.doubts import doubts, ess_needed, propensity_calibration, tail_index
from tests.unit.evaluation.logs import a_log


def pareto(shape, *, n=20_000, seed=0):
    """Weights of mean 1 whose tail has the given index."""
    drawn = np.random.default_rng(seed).random(n) ** -shape
    return drawn * (1 - shape)


@pytest.mark.parametrize("shape", [0.2, 0.4, 0.7, 0.9])
def test_the_index_of_a_pareto_tail_is_found(shape):
    found = [tail_index(pareto(shape, seed=seed)) for seed in range(20)]
    # 424 largest weights: a standard error of (1 + k) / sqrt(424) each, and the pull towards 1/2.
    off = 4 * (1 + shape) / np.sqrt(424 * 20) + 10 / 434 * abs(0.5 - shape)
    assert abs(np.mean(found) - shape) < off + 0.02


def test_bounded_weights_have_a_light_tail():
    assert tail_index(np.random.default_rng(0).random(5000)) < 0
    assert tail_index(np.repeat([0.0, 3.0], 500)) == float("-inf")
    assert np.isnan(tail_index(np.ones(10)))


def test_tame_weights_of_many_users_leave_no_doubt():
    weight = np.random.default_rng(0).random(4000) + 0.5
    assert doubts(weight, np.arange(4000)) == ()


def test_each_doubt_is_named():
    few = doubts(np.ones(100), np.arange(100) % 5)
    assert [each.split(" ")[0] for each in few] == ["effective", "5"]
    assert any("heavy tail" in each for each in doubts(pareto(0.8), np.arange(20_000)))
    wrong = doubts(np.full(4000, 1.2) + 0.1 * pareto(0.1, n=4000), np.arange(4000))
    assert any("mean weight is 1.3" in each for each in wrong)
    assert ess_needed(1000) == 200
    assert ess_needed(50_000) == 500


def test_propensities_that_the_log_contradicts_show_in_their_calibration():
    log, logging, _ = a_log(n=20_000, users=2000)
    assert calibration_error(propensity_calibration(log)) < 0.01
    inverted = (1.0 - logging) / (logging.shape[1] - 1)
    assert calibration_error(propensity_calibration(replace(log, probabilities=inverted))) > 0.05
    assert propensity_calibration(replace(log, probabilities=None)) == ()
