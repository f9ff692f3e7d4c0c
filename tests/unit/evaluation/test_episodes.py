from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import DataError
from rapport.evaluation.episodes import Episodes, per_decision_dr_terms, per_decision_terms
from rapport.evaluation.estimators import Log, dr_terms, ips_terms, snips_terms
from tests.unit.evaluation.logs import a_log, mostly

# Episode x: weights 1.6, .4 earn 1, .5; episode y: weight .4 earns -1. Rows are shuffled.
LOG = Log(
    action=np.array([1, 0, 1]),
    reward=np.array([0.5, 1.0, -1.0]),
    propensity=np.array([0.5, 0.5, 0.5]),
    user=np.array(["a", "a", "b"]),
)
TARGET = np.array([[0.8, 0.2]] * 3)
EPISODES = Episodes(LOG, np.array(["x", "x", "y"]), np.array([1, 0, 0]))


def test_per_decision_sampling_by_hand():
    # Step 0: (1.6 * 1 + .4 * -1) / 2; step 1: (1.6 * .4 * .5 + 0) / 2.
    assert per_decision_terms(EPISODES, TARGET).value == pytest.approx(0.6 + 0.16)
    assert per_decision_terms(EPISODES, TARGET, gamma=0.5).value == pytest.approx(0.6 + 0.08)


def test_self_normalised_it_divides_each_step_by_its_weights():
    # Step 0: 1.2 / 2.0; step 1: .32 / (1.6 * .4 + .4), the over episode keeping its weight.
    found = per_decision_terms(EPISODES, TARGET, self_normalised=True)
    assert found.value == pytest.approx(0.6 + 0.32 / 1.04)
    assert found.user.tolist() == ["a", "b"]
    assert found.weight == pytest.approx([0.64, 0.4])


def test_the_doubly_robust_value_by_hand():
    q = np.array([[0.5, 0.0], [1.0, 0.5], [0.0, -0.5]])
    # x, step 0: 1.6 (1 - 1) + (.8 * 1 + .2 * .5); step 1: .64 (.5 - 0) + 1.6 * (.8 * .5).
    # y, step 0: .4 (-1 + .5) + .2 * -.5.
    expected = (0.9 + 0.32 + 0.64 - 0.2 - 0.1) / 2
    assert per_decision_dr_terms(EPISODES, TARGET, q).value == pytest.approx(expected)


def test_episodes_of_one_decision_are_the_plain_estimators():
    log, _, expected = a_log(n=60, users=9)
    single = Episodes(log, np.arange(60), np.zeros(60, dtype=np.intp))
    target = mostly(1, n=60, arms=3)
    assert per_decision_terms(single, target).value == ips_terms(log, target).value
    normal = per_decision_terms(single, target, self_normalised=True).value
    assert normal == pytest.approx(snips_terms(log, target).value)
    robust = per_decision_dr_terms(single, target, expected).value
    assert robust == pytest.approx(dr_terms(log, target, expected).value)


def test_steps_with_a_gap_or_twice_are_refused():
    for step in ([0, 2, 0], [0, 0, 0], [1, 2, 0], [0, -1, 0]):
        with pytest.raises(DataError, match="gap"):
            Episodes(LOG, np.array(["x", "x", "y"]), np.array(step))
    with pytest.raises(DataError, match="rows"):
        Episodes(LOG, np.array(["x", "x"]), np.array([0, 1, 0]))


def test_silence_inside_an_episode_is_refused():
    silent = replace(EPISODES, log=LOG.rewarded(np.array([0.5, np.nan, 0.0])))
    with pytest.raises(DataError, match="no reward"):
        per_decision_terms(silent, TARGET)
    with pytest.raises(DataError, match="no reward"):
        per_decision_dr_terms(silent, TARGET, TARGET)
