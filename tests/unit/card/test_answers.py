"""The reader of answers, on replies that were not looked at while its rules were written."""

from pathlib import Path

import pytest
import yaml

from rapport.card.answers import read_answer
from rapport.card.questions import questions

WRITTEN = yaml.safe_load((Path(__file__).parent / "answers.yaml").read_text(encoding="utf-8"))
CASES = [
    (entry["q"], reply, expected)
    for entry in WRITTEN
    for expected in ("right", "wrong", "none")
    for reply in entry[expected]
]


def question(start):
    (found,) = (each for each in questions() if each.text.startswith(start))
    return found


@pytest.mark.parametrize(("start", "reply", "expected"), CASES)
def test_a_reply_is_read_as_a_person_would(start, reply, expected):
    asked = question(start)
    right, wrong = (asked.answer, *asked.also), (asked.wrong,)

    assert read_answer(reply, right=right, wrong=wrong) == expected
