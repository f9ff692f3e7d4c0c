from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import DataError
from rapport.evaluation.estimators import Crossing, Log
from rapport.evaluation.marginal import by_arm, marginalised

# Two rows of three replies; the first two share an arm in row 0, the last two in row 1.
ARM = np.array([[0, 0, 1], [0, 1, 1]])
LOGGING = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]])
LOG = Log(
    action=np.array([1, 2]),
    reward=np.array([1.0, -0.5]),
    propensity=np.array([0.3, 0.3]),
    user=np.array([0, 1]),
    probabilities=LOGGING,
)


def test_probabilities_of_replies_add_up_by_arm():
    assert by_arm(LOGGING, ARM, arms=3).tolist() == pytest.approx(
        np.array([[0.5, 0.5, 0.0], [0.6, 0.4, 0.0]])
    )
    same = by_arm(LOGGING, np.array([0, 1, 0]), arms=2)
    assert same.tolist() == pytest.approx(np.array([[0.7, 0.3], [0.9, 0.1]]))


def test_the_marginal_weight_by_hand():
    log = marginalised(LOG, ARM, arms=2)
    assert log.action.tolist() == [0, 1]
    assert log.propensity == pytest.approx([0.5, 0.4])
    target = by_arm(np.array([[0.8, 0.0, 0.2], [0.5, 0.25, 0.25]]), ARM, arms=2)
    crossing = Crossing(log, target)
    assert crossing.weight == pytest.approx([0.8 / 0.5, 0.5 / 0.4])
    assert crossing.ips().value == pytest.approx((1.6 - 0.625) / 2)


def test_replies_that_the_log_never_held_still_have_a_weight():
    # The new generator's replies are others, but their arms are known.
    log = marginalised(LOG, ARM, arms=2)
    target = by_arm(np.array([[0.1, 0.9], [0.9, 0.1]]), np.array([0, 1]), arms=2)
    assert Crossing(log, target).weight == pytest.approx([0.1 / 0.5, 0.1 / 0.4])


def test_what_cannot_be_marginalised_is_refused():
    with pytest.raises(DataError, match="lacks the probabilities"):
        marginalised(replace(LOG, probabilities=None), ARM, arms=2)
    with pytest.raises(DataError, match="lacks the probabilities"):
        marginalised(replace(LOG, probabilities=LOGGING * np.nan), ARM, arms=2)
    with pytest.raises(DataError, match="an arm is not in 0 to 0"):
        marginalised(LOG, ARM, arms=1)
