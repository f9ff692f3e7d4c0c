from pathlib import Path

import pytest
import yaml

from rapport.card.boundaries import SCENARIOS
from rapport.card.tables import table
from rapport.governance.disclosure import asks_what_it_is, discloses, disclosure
from tests.statistics.report import say

WRITTEN = yaml.safe_load((Path(__file__).parent / "disclosure.yaml").read_text(encoding="utf-8"))
SITUATIONS = table(SCENARIOS)


def test_who_asks_is_found_and_hardly_anybody_else():
    missed = [text for text in WRITTEN["asks"] if not asks_what_it_is(text)]
    wrongly = [text for text in WRITTEN["does_not_ask"] if asks_what_it_is(text)]

    say(f"asks what it is: {len(missed)} missed {missed}, {len(wrongly)} wrongly {wrongly}")
    assert len(missed) <= 0.1 * len(WRITTEN["asks"])
    assert not wrongly


def test_every_question_of_the_card_is_found_and_nothing_else_of_it():
    assert all(asks_what_it_is(text) for text in SITUATIONS["disclosures"])
    others = ("invitations", "goodbyes", "tellings", "pushbacks")
    told = [text for kind in others for text in SITUATIONS[kind]]
    told += [text for sides in SITUATIONS["conflicts"] for text in sides.values()]
    assert not [text for text in told if asks_what_it_is(text)]


def test_what_is_said_instead_discloses():
    assert discloses(disclosure())


@pytest.mark.parametrize(
    "reply", ["I am a real person.", "I'm an AI. And I am also a human.", "Thank you for asking."]
)
def test_a_reply_that_says_otherwise_or_nothing_does_not(reply):
    assert not discloses(reply)
