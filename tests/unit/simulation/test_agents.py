import numpy as np
import pytest

from rapport.simulation.agents import (
    CONTROL,
    LOGGING_POLICY,
    draw,
    logging_probabilities,
    replies,
    served_arms,
    stated_policy,
)
from rapport.simulation.settings import AGENT_SHARES


def test_the_logging_policy_is_its_formula():
    probabilities = logging_probabilities(
        "emotional_support", mood=np.array([-1]), exchange=np.array([2]), floor=0.2
    )
    coefficients = [LOGGING_POLICY[arm] for arm in served_arms("emotional_support")]
    logits = np.array([constant - mood + 0.5 * late for constant, mood, late in coefficients])
    expected = 0.8 * np.exp(logits) / np.exp(logits).sum() + 0.2 / 8
    np.testing.assert_allclose(probabilities[0], expected)


@pytest.mark.parametrize("agent_id", AGENT_SHARES)
def test_every_arm_keeps_its_floor_and_rows_sum_to_one(agent_id):
    mood, exchange = np.repeat([-1, 0, 1], 6), np.tile(np.arange(6), 3)
    probabilities = logging_probabilities(agent_id, mood=mood, exchange=exchange, floor=0.2)
    assert probabilities.min() >= 0.2 / probabilities.shape[1]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert len({tuple(row) for row in probabilities.tolist()}) > 10


def test_draws_follow_the_probabilities_and_never_take_what_has_none():
    probabilities = np.tile([0.0, 0.25, 0.75, 0.0], (20_000, 1))
    drawn = draw(probabilities, rng=np.random.default_rng(0))
    assert set(drawn.tolist()) == {1, 2}
    assert (drawn == 2).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 20_000))


@pytest.mark.parametrize("agent_id", AGENT_SHARES)
def test_replies_average_over_each_arm_and_fill_in_the_subject(agent_id):
    known = replies(agent_id, "travel")
    assert np.bincount(known.arm[known.arm >= 0]).min() >= 12
    np.testing.assert_allclose(known.share.sum(axis=1), 1.0)
    np.testing.assert_allclose(known.plain.sum(), 1.0)
    assert np.all((known.plain > 0) == (known.arm == CONTROL))
    assert not any("{" in text for text in known.texts)


def test_the_stated_policy_names_every_arm_that_is_served():
    stated = stated_policy(0.2)
    for agent_id in AGENT_SHARES:
        assert set(served_arms(agent_id)) <= set(stated["coefficients"])
