import numpy as np

from rapport.simulation.lexicon import MARKS
from rapport.simulation.minds import population
from rapport.simulation.reactions import Heard, Reactions, clickable, respond
from rapport.simulation.settings import SimulationConfig

COUNT = 4000
MINDS = population(SimulationConfig(users=COUNT, seed=2))


def after(felt: float, *, mood: float = 0.0, words: int = 15, support: bool = True) -> Reactions:
    heard = Heard(np.full(COUNT, felt), np.full(COUNT, 0.8), np.full(COUNT, words))
    moods, agents = np.full(COUNT, mood), np.full(COUNT, support)
    return respond(MINDS, moods, heard, support=agents, rng=np.random.default_rng(0))


def test_better_replies_are_rated_higher_and_only_with_whole_stars():
    good, bad = after(0.4).rating, after(-0.4).rating
    assert np.nanmean(good) > 3.7
    assert np.nanmean(bad) < 2.5
    assert set(np.unique(good[np.isfinite(good)])) <= {1.0, 2.0, 3.0, 4.0, 5.0}


def test_most_people_give_no_rating():
    assert 0.2 < np.isfinite(after(0.0).rating).mean() < 0.4


def test_the_unhappy_leave_more_often_and_leave_no_rating_behind():
    unhappy, content = after(-0.6, mood=-0.7), after(0.3, mood=0.3)
    assert unhappy.left_silently.mean() > 10 * content.left_silently.mean()
    assert not np.isfinite(unhappy.rating[unhappy.left_silently]).any()
    assert not np.isfinite(unhappy.task_success[unhappy.left_silently]).any()
    assert np.all(unhappy.ended[unhappy.left_silently])


def test_longer_replies_take_longer_to_read_and_the_next_message_comes_after():
    short, long = after(0.0, words=8), after(0.0, words=40)
    assert np.nanmedian(long.dwell_s) > 2 * np.nanmedian(short.dwell_s)
    known = np.isfinite(long.dwell_s)
    assert np.all(long.pause_s[known] > long.dwell_s[known])


def test_an_outcome_is_told_at_the_end_only_and_more_often_to_customer_support():
    support, desk = after(0.3), after(0.3, support=False)
    assert not np.isfinite(support.task_success[~support.ended]).any()
    told = [np.isfinite(each.task_success[each.ended]).mean() for each in (support, desk)]
    assert told[0] < 0.4
    assert told[1] > 0.7


def test_there_is_something_to_click_in_a_suggestion_and_nothing_in_a_question():
    marks = np.zeros((2, len(MARKS)))
    marks[0, MARKS.index("suggestion")] = 0.7
    marks[1, MARKS.index("question")] = 0.7
    assert clickable(marks).tolist() == [0.7, 0.0]


def test_the_next_message_can_tell_a_liked_reply_from_a_disliked_one():
    assert (after(0.4).effect == 2).mean() > 0.95
    assert (after(-0.4).effect == 0).mean() > 0.95
    assert (after(0.0).effect == 1).mean() > 0.5
