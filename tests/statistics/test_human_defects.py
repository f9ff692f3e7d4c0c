"""What the limits of defects rest on: ESConv's supporters, measured again."""

from pathlib import Path

import pytest

from rapport.card.defects import HUMAN, MOST_WORDS
from rapport.card.humans import human_defects, usual_words
from tests.statistics.report import say

ESCONV = Path(__file__).parents[2] / "../shared/data/esconv"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ESCONV.exists(), reason="ESConv is not at ../shared/data/esconv"),
]


def test_the_limits_are_what_people_do():
    found = human_defects(ESCONV / "esconv.jsonl.gz")

    say(str(found))
    assert {name: share.high for name, share in found.items()} == pytest.approx(HUMAN, abs=5e-4)


def test_a_long_reply_is_longer_than_people_write_them():
    assert int(usual_words(ESCONV / "esconv.jsonl.gz")) == MOST_WORDS
