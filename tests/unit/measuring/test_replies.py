from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.measuring.replies import delivered, duplicates, fits, loops, measure_replies
from rapport.schema import CRISIS_FACET
from rapport.testing import a_decision, a_turn
from rapport.text import load_encoder

START = datetime(2026, 1, 1, tzinfo=UTC)


def told(lake, user, exchanges, *, facet=None, **columns):
    """One conversation of a user: pairs of message and reply."""
    turns, decisions = [], []
    for place, (message, reply) in enumerate(exchanges):
        index, at = 2 * place, START + timedelta(minutes=place)
        of = {"user_id": user, "conversation_id": f"c-{user}", "source": "serve", "ts": at}
        turns.append(
            a_turn(**of, turn_id=f"{user}{index}", turn_index=index, text=message, facet=facet)
        )
        arm = {"arm": "question", "origin": columns.get("origin", "adapter")}
        candidate = {"candidate_id": "0", "text": reply, "probability": 1.0, **arm}
        decisions.append(
            a_decision(
                decision_id=f"{user}{index}",
                user_id=user,
                episode_id=f"c-{user}",
                source="serve",
                ts=at,
                turn_index=index + 1,
                mode=columns.get("mode", "arm_first"),
                delivered=columns.get("delivered", "full"),
                candidates=[candidate],
                action_index=0,
            )
        )
    lake.append("turns", turns, writer="test")
    lake.append("decisions", decisions, writer="test")


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def measured(lake, tmp_path):
    return measure_replies(delivered(lake), load_encoder(), home=tmp_path)


def test_fit_by_hand():
    exam, flight = [1.0, 0.0], [0.0, 1.0]
    replies, messages = np.array([exam, flight, flight]), np.array([exam, exam, flight])
    user, agent = np.array(["ann", "ann", "bob"]), np.array(["a", "a", "a"])
    # The others' message of ann's replies is bob's flight; of bob's reply, her two exams.
    found = fits(replies, messages, agent=agent, user=user)
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]


def test_others_are_those_of_the_same_agent():
    same = np.ones((3, 1))
    user, agent = np.array(["ann", "bob", "ann"]), np.array(["a", "a", "b"])
    assert np.isnan(fits(same, same, agent=agent, user=user)[:, 1]).tolist() == [False, False, True]


def test_replies_to_the_point_fit_better_than_others_messages(lake, tmp_path):
    told(lake, "ann", [("I failed my exam.", "An exam can be taken again.")])
    told(lake, "bob", [("My flight is late.", "When should the plane have left?")])
    found = measured(lake, tmp_path).metrics
    assert found["fit_own"].estimate > found["fit_shuffled"].estimate + 0.2
    gain = found["fit_own"].estimate - found["fit_shuffled"].estimate
    assert found["fit_gain"].estimate == pytest.approx(gain)


def test_shares_by_hand(lake, tmp_path):
    told(lake, "ann", [("a", "I see you."), ("b", "I see you."), ("c", " ... ")])
    told(lake, "bob", [("d", "We will look. We will look.")], origin="library")
    found = measured(lake, tmp_path).metrics
    shares = {name: found[name].estimate for name in ("loops", "empty", "repeats", "library")}
    assert shares == {"loops": 0.25, "empty": 0.25, "repeats": 0.25, "library": 0.25}
    assert (found["guard_replaced"].estimate, found["guard_replaced"].n) == (0.0, 4)


def test_groups_are_who_wrote_and_hold_no_interval_of_one_user(lake, tmp_path):
    told(lake, "ann", [("exam", "exam"), ("b", "b")])
    told(lake, "bob", [("d", "d")], origin="library")
    groups = measured(lake, tmp_path).groups
    assert sorted(groups) == ["adapter", "library"]
    assert groups["library"].metrics["fit_own"].low is None
    assert groups["library"].metrics["library"].estimate == 1.0


def test_only_replies_that_people_read_count(lake, tmp_path):
    told(lake, "ann", [("a", "one")])
    told(lake, "bob", [("b", "two")])
    told(lake, "cyd", [("c", "three")], delivered="observed")
    told(lake, "dan", [("d", "four")], mode="rank")
    told(lake, "eve", [("e", "five")], facet=CRISIS_FACET)
    found = measured(lake, tmp_path)
    assert (found.n, found.skipped, found.rows) == (2, 1, 3)


def test_the_newest_replies_are_read(lake):
    told(lake, "ann", [("a", "one"), ("b", "two")])
    told(lake, "bob", [("c", "three"), ("d", "four")])
    assert set(delivered(lake, limit=2).frame["reply"]) == {"two", "four"}


def test_a_home_that_served_nobody_says_so(lake):
    with pytest.raises(TooLittleDataError, match="serve more"):
        delivered(lake)


@pytest.mark.parametrize(
    "text",
    [
        "I am here. I am here.",
        "go on and on, go on and on, go on and on",
        "so so so so",
        "No way out.\nno way out",
    ],
)
def test_replies_that_run_in_circles(text):
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am here for you, and I am here to listen.",
        "No. No. What happened then?",
        "Thank you. That took courage, and it shows how much you care.",
    ],
)
def test_replies_that_do_not(text):
    assert not loops(text)


def test_duplicate_four_word_sequences_by_hand():
    # Sequences: abcd bcda cdab dabc abcd: one of five came before.
    assert duplicates("a b c d a b c d") == pytest.approx(1 / 5)
    assert duplicates("three words only") == 0.0
