import numpy as np
import pytest

from rapport.card.judges import (
    Preferences,
    agreement,
    defect_judge,
    empathy_judge,
    fit_judge,
    judged,
)
from rapport.card.lengths import matched
from rapport.card.refusing import refuses
from rapport.errors import TooLittleDataError

TOPICS = ("exam", "sister", "rent", "sleep", "boss", "dog", "party", "doctor")


class Words:
    """Vectors of the topics a text names: [N, 8] float32, unit length."""

    def encode(self, texts):
        found = np.array([[topic in text for topic in TOPICS] for text in texts], dtype=np.float32)
        found += 0.05
        return found / np.linalg.norm(found, axis=1, keepdims=True)


class ByLength:
    """Calls every word empathetic."""

    def levels(self, posts, replies):
        return np.array([[len(reply.split())] * 3 for reply in replies], dtype=np.float64)


def asked(*texts):
    return [[{"role": "user", "content": text}] for text in texts]


def people(n=200):
    """Messages of many people about a topic each, and replies that take it up."""
    topics = [TOPICS[i % len(TOPICS)] for i in range(n)]
    users = [f"user-{i // 4}" for i in range(n)]
    messages = [f"my {topic} again" for topic in topics]
    return messages, [f"so it is the {topic}" for topic in topics], users


def test_a_judge_of_fit_learns_what_people_take_up_and_tells_how_well():
    judge = fit_judge(Words(), *people())
    assert judge.auc > 0.9
    said = judged(judge, asked("my exam again"), ["so it is the rent"], ["so it is the exam"])
    assert said.won.tolist() == [1.0]
    chance = judge.chance(asked("my exam again") * 2, ["so it is the exam", "so it is the rent"])
    assert chance[0] > 0.5 > chance[1]


def test_replies_that_have_nothing_to_do_with_messages_teach_nothing():
    messages, replies, users = people(400)
    mixed = [replies[i] for i in np.random.default_rng(3).permutation(len(replies))]
    assert fit_judge(Words(), messages, mixed, users).auc == pytest.approx(0.5, abs=0.12)
    with pytest.raises(TooLittleDataError):
        fit_judge(Words(), messages[:50], replies[:50], users[:50])


def test_no_judge_can_reward_length():
    short, long = ["I hear you"], ["I hear you and " + "so much more of it " * 20]
    told = asked("my exam again")
    assert judged(empathy_judge(ByLength()), told, short, long).won.tolist() == [0.5]
    assert matched(short, long) == (["I hear you"], ["I hear you"])


def test_who_is_swayed_by_the_order_said_nothing():
    def first_always(conversations, first, second):
        return np.full(len(conversations), -1.0)

    said = judged(first_always, asked(*["a"] * 50), ["x"] * 50, ["y"] * 50)
    assert said.swayed == 1.0
    assert set(said.won.tolist()) == {0.5}


def test_a_steady_judge_is_not_touched_by_the_order_and_sees_no_names():
    judge = defect_judge(lambda reply, _told: reply.count("!"))
    said = judged(judge, asked(*["a"] * 3), ["x!", "x", "x"], ["y", "y!", "y"])
    assert said.won.tolist() == [1.0, 0.0, 0.5]
    assert said.swayed == 0.0


def test_agreement_counts_what_both_decide():
    one = Preferences(np.array([1.0, 0.0, 0.5, 1.0]), 0.0)
    other = Preferences(np.array([1.0, 1.0, 1.0, 1.0]), 0.0)
    assert agreement(one, other) == pytest.approx(2 / 3)
    open_ = Preferences(np.full(4, 0.5), 0.0)
    assert agreement(one, open_) is None


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ("I'm sorry, but as a language model I do not have feelings.", True),
        ("I cannot provide medical advice.", True),
        ("I can\u2019t help with that.", True),
        ("I am unable to assist you with it.", True),
        ("You cannot help how you feel, and that is fine.", False),
        ("I can imagine that it hurts.", False),
        ("What would help you tonight?", False),
    ],
)
def test_refusals_are_told_from_help(reply, refused):
    assert refuses(reply) is refused
