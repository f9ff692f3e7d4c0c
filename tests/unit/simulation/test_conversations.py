import numpy as np
import pytest

from rapport.simulation.conversations import (
    beginning,
    draw_agents,
    draw_topics,
    open_conversations,
    together,
)
from rapport.simulation.minds import population
from rapport.simulation.settings import SimulationConfig

CONFIG = SimulationConfig(users=4000, seed=1)
MINDS = population(CONFIG)


def test_everyone_begins_a_journey_with_nothing_said_yet():
    now = beginning(MINDS)
    open_conversations(MINDS, now, config=CONFIG, rng=np.random.default_rng(0))
    assert np.all(now.conversation == 0)
    assert np.all(now.journey == 0)
    assert np.all(now.recent == -1)
    assert np.all(now.effect == -1)


def test_a_further_conversation_goes_on_with_the_errand_or_begins_another():
    now, rng = beginning(MINDS), np.random.default_rng(0)
    open_conversations(MINDS, now, config=CONFIG, rng=rng)
    agent, topic = now.agent.copy(), now.topic.copy()
    open_conversations(MINDS, now, config=CONFIG, rng=rng)
    same = now.journey == 0
    assert np.all(now.conversation == 1)
    assert same.mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 4000))
    np.testing.assert_array_equal(now.agent[same], agent[same])
    np.testing.assert_array_equal(now.topic[same], topic[same])


def test_an_open_conversation_is_left_alone():
    now, rng = beginning(MINDS), np.random.default_rng(0)
    open_conversations(MINDS, now, config=CONFIG, rng=rng)
    now.open[:] = True
    mood = now.mood.copy()
    open_conversations(MINDS, now, config=CONFIG, rng=rng)
    np.testing.assert_array_equal(now.mood, mood)
    assert np.all(now.conversation == 0)


def test_seven_in_ten_journeys_go_to_emotional_support_and_to_the_own_topic():
    rng = np.random.default_rng(5)
    error = 4 * np.sqrt(0.21 / 4000)
    assert (draw_agents(CONFIG, count=4000, rng=rng) == 0).mean() == pytest.approx(0.7, abs=error)
    own = (draw_topics(MINDS, rng=rng) == MINDS.topic).mean()
    assert own == pytest.approx(0.7 + 0.3 / 8, abs=error)


def test_a_single_agent_gets_every_journey():
    only = SimulationConfig(agents=("customer_support",))
    assert not draw_agents(only, count=50, rng=np.random.default_rng(0)).any()


def test_users_are_grouped_once_each_by_agent_and_topic():
    now = beginning(MINDS)
    open_conversations(MINDS, now, config=CONFIG, rng=np.random.default_rng(0))
    rows = np.concatenate([rows for rows, _, _ in together(now, config=CONFIG)])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(MINDS)))
