import numpy as np
import pytest

from rapport.arms import load_menu
from rapport.card.comparing import Readers, Trained, measures, of_pair, of_rung
from rapport.card.judges import fit_judge
from rapport.card.rungs import even_arms
from rapport.measuring.dialogues import Case
from tests.unit.card.test_judges import TOPICS, ByLength, Words, people

MENU = load_menu()


class Showing:
    """A strategy scorer that is sure of questions."""

    arms = ("question", "reflection")

    def predict(self, replies, vectors):
        sure = np.array([reply.endswith("?") for reply in replies])
        return np.column_stack([sure, ~sure]).astype(np.float64)


def cases(n=40):
    return [
        Case(
            user=f"user-{i // 2}",
            messages=[{"role": "user", "content": f"my {TOPICS[i % len(TOPICS)]} again"}],
            reply="so it is?",
            arm=MENU["question"] if i % 2 else None,
            said=[],
        )
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def readers():
    return Readers(fit_judge(Words(), *people()), Showing(), Trained(ByLength()))


def test_a_rung_is_measured_on_every_message_with_intervals_over_people(readers):
    found = of_rung(cases(), ["As an AI I cannot help."] * 40, readers).metrics
    assert found["refusals"].estimate == 1.0
    assert found["words"].estimate == 6.0
    assert found["words"].n == 40
    assert found["strategy"].n == 20, "where the log names no kind, nothing can be matched"
    assert {"wordy", "glued", "closing_question", "ungrounded", "fit", "empathy"} <= set(found)


def test_what_takes_the_message_up_is_preferred_and_nothing_is_where_nothing_differs(readers):
    told = cases()
    good = [f"so it is the {TOPICS[i % len(TOPICS)]}" for i in range(40)]
    bad = [f"so it is the {TOPICS[(i + 1) % len(TOPICS)]}" for i in range(40)]
    better = of_pair(told, good, bad, readers).metrics["preferred_by_fit"]
    assert better.estimate == 1.0
    assert better.low is not None
    assert better.low > 0.5
    same = of_pair(told, good, good, readers).metrics
    assert same["preferred_by_fit"].estimate == 0.5
    assert same["empathy"].estimate == 0.0
    assert same["swayed_fit"].estimate == 0.0


def test_people_are_resampled_not_messages():
    values, user = np.repeat([0.0, 1.0], 50), np.repeat(["a", "b"], 50)
    found = measures({"x": values}, user)["x"]
    assert (found.low, found.high) == (0.0, 1.0)
    alone = measures({"x": values}, np.repeat(["a"], 100))["x"]
    assert (alone.low, alone.high) == (None, None)
    assert measures({"x": np.full(3, np.nan)}, np.array(["a", "b", "c"])) == {}


def test_even_arms_are_as_even_as_can_be_and_the_same_again():
    drawn = [arm.name for arm in even_arms(MENU, 80, seed=1)]
    counts = {name: drawn.count(name) for name in set(drawn)}
    assert set(counts) == {arm.name for arm in MENU.served}
    assert max(counts.values()) - min(counts.values()) <= 1
    assert drawn == [arm.name for arm in even_arms(MENU, 80, seed=1)]
