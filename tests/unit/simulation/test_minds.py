import numpy as np
import pytest

from rapport.simulation.lexicon import MARKS, read
from rapport.simulation.minds import (
    appeal,
    draw_minds,
    draw_world,
    next_mood,
    population,
    repetition,
    satisfaction,
    shown_mood,
)
from rapport.simulation.settings import SimulationConfig

CONFIG = SimulationConfig(users=400, seed=7)


def liking(**marks: float) -> np.ndarray:
    return np.array([[marks.get(mark, 0.0) for mark in MARKS]])


def test_personas_differ_in_taste_by_the_stated_spread_in_every_world():
    for seed in range(5):
        taste = draw_world(SimulationConfig(seed=seed)).taste
        np.testing.assert_allclose(taste.std(axis=1), 0.30)
        np.testing.assert_allclose(taste.mean(axis=1), 0.08)


def test_a_population_is_the_same_each_time_and_its_personas_equally_large():
    one, again = population(CONFIG), population(CONFIG)
    np.testing.assert_array_equal(one.taste, again.taste)
    np.testing.assert_array_equal(np.bincount(one.persona), [100] * 4)


def test_users_of_a_persona_scatter_around_it():
    rng = np.random.default_rng(0)
    world = draw_world(CONFIG)
    minds = draw_minds(world, np.zeros(4000, dtype=np.int64), config=CONFIG, rng=rng)
    error = 4 * 0.10 / np.sqrt(4000)
    np.testing.assert_allclose(minds.taste.mean(axis=0), world.taste[0], atol=error)
    assert minds[np.array([3, 5])].topic.tolist() == minds.topic[[3, 5]].tolist()


def test_a_reply_of_a_liked_kind_lifts_and_one_of_a_disliked_kind_hurts():
    reading = read(["What would you like to do?"])
    weight = reading.attention()[0, MARKS.index("question")]
    liked = appeal(liking(question=0.5), reading, repeated=0.0)[0, 0]
    assert liked == pytest.approx(0.5 * weight - 0.03 * (1 - weight))
    assert appeal(liking(question=-0.5), reading, repeated=0.0)[0, 0] < -0.2


def test_a_reply_that_shows_no_kind_moves_little():
    loves_all = liking(**dict.fromkeys(MARKS, 0.5))
    reading = read(["The sky over the town is blue today."])
    felt = satisfaction(appeal(loves_all, reading, repeated=0.0), kindred=False)
    assert abs(felt[0, 0]) < 0.05


def test_an_echo_of_the_own_manner_is_worth_a_little():
    assert satisfaction(np.zeros(1), kindred=np.ones(1))[0] == pytest.approx(np.tanh(0.06))


def test_saying_the_same_again_is_disliked():
    cost = repetition(read(["You could try a walk.", "You could try a walk.", "Many people do."]))
    assert cost[0, 1] == pytest.approx(0.9 * 0.55)
    assert cost[0, 2] == 0


def test_mood_follows_what_was_felt_and_stays_in_bounds():
    rng = np.random.default_rng(3)
    mood, home = np.zeros(5000), np.zeros(5000)
    lifted = next_mood(mood, home=home, felt=np.full(5000, 0.4), rng=rng)
    assert lifted.mean() == pytest.approx(0.5 * 0.4, abs=4 * 0.1 / np.sqrt(5000))
    assert np.all(np.abs(next_mood(mood + 1, home=home, felt=home + 1, rng=rng)) <= 1)


def test_words_show_the_mood_uncertainly():
    rng = np.random.default_rng(4)
    low, high = (shown_mood(np.full(2000, mood), rng=rng) for mood in (-0.5, 0.5))
    assert (low == 0).mean() > 0.9
    assert (high == 2).mean() > 0.9
    assert len(set(shown_mood(np.zeros(2000), rng=rng).tolist())) == 3
