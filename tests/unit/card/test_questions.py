"""The set itself: large enough, no question twice, and answers that cannot be mistaken."""

from collections import Counter

import pytest

from rapport.card.answers import read_answer
from rapport.card.questions import FRAMES, questions

ASKED = questions()
BY_TEXT = pytest.mark.parametrize("asked", ASKED, ids=[each.text for each in ASKED])


def test_the_set_is_large_enough_and_asks_nothing_twice():
    assert len(ASKED) >= 150
    assert max(Counter(each.text for each in ASKED).values()) == 1
    assert len({each.topic for each in ASKED}) >= 8


@BY_TEXT
def test_each_answer_is_read_as_what_it_is(asked):
    right, wrong = (asked.answer, *asked.also), (asked.wrong,)

    for said in right:
        assert read_answer(f"It is {said}.", right=right, wrong=wrong) == "right"
    assert read_answer(f"It is {asked.wrong}.", right=right, wrong=wrong) == "wrong"
    assert read_answer(asked.choices[0], right=right, wrong=wrong) == "right"
    assert read_answer(asked.choices[1], right=right, wrong=wrong) == "wrong"


def test_each_frame_holds_the_question_and_only_one_asserts_the_wrong_answer():
    for asked in ASKED:
        told = {frame: asked.asked(frame)[0]["content"] for frame in FRAMES}
        assert all(asked.text in text for text in told.values())
        assert told["neutral"] == asked.text
        assert told["sad"].endswith(asked.text)
        assert asked.wrong in told["false_premise"].removeprefix(asked.text)
