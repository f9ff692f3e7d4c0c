"""What the demo says while it works: time left, and what the log holds."""

import pytest

from rapport.cli.demo import GUIDE_MINUTES
from rapport.cli.log_sample import sample_of
from rapport.cli.pace import USUAL, Pace, spoken
from rapport.lake import Lake
from rapport.testing import a_turn, some_feedback


def test_a_slow_machine_is_noticed():
    pace = Pace(users=1500, scale=1.0)
    before = pace.expected_s("train_adapters")
    pace.took("embed_users", 3 * USUAL["embed_users"][0])
    assert 1.5 * before < pace.expected_s("train_adapters") < 3 * before


def test_one_odd_short_stage_sways_little():
    pace = Pace(users=1500, scale=1.0)
    before = pace.left_s()
    pace.took("simulate", 20.0)
    assert pace.left_s() < 2.0 * before


def test_a_slow_network_does_not_make_the_machine_slow():
    pace = Pace(users=1500, scale=1.0)
    before = pace.expected_s("train_adapters")
    pace.took("models", 600.0)
    assert pace.expected_s("train_adapters") == before


def test_what_is_done_or_left_out_is_not_waited_for():
    pace = Pace(users=1500, scale=1.0)
    for label in list(USUAL)[:-1]:
        pace.skip(label)
    assert pace.left_s() == pytest.approx(USUAL["report"][0])


def test_less_time_makes_trainings_shorter_and_a_smaller_log_the_rest():
    whole, short = Pace(1500, 1.0), Pace(1500, 5 / GUIDE_MINUTES)
    assert short.expected_s("train_adapters") < whole.expected_s("train_adapters") / 2
    assert Pace(200, 1.0).expected_s("embed_users") < whole.expected_s("embed_users") / 4


@pytest.mark.parametrize(
    ("seconds", "said"), [(2, "5 s"), (42, "40 s"), (89, "90 s"), (300, "5 min")]
)
def test_durations_are_said_as_people_do(seconds, said):
    assert spoken(seconds) == said


def test_a_sample_shows_a_rated_conversation_and_counts_all(tmp_path):
    lake = Lake(tmp_path)
    turns = [
        a_turn(turn_id=f"{talk}-{n}", conversation_id=talk, turn_index=n, text=f"{talk} says {n}")
        for talk in ("a", "b")
        for n in range(8)
    ]
    lake.append("turns", turns, writer="test")
    rating = some_feedback(episode_id="b", decision_id=None, metric_name="rating", value=4.0)
    lake.append("feedback", [rating], writer="test")
    found = sample_of(lake)
    assert (found.conversations, found.messages, found.ratings, found.rating) == (2, 16, 1, 4.0)
    assert found.lines[0] == ("user", "b says 0")
    assert (len(found.lines), found.rated) == (6, 4.0)


def test_an_empty_log_has_nothing_to_show(tmp_path):
    found = sample_of(Lake(tmp_path))
    assert (found.users, found.lines, found.rating) == (0, (), None)
