"""Rules of conduct on replies that they were not written with: precision and recall."""

from pathlib import Path

import pytest
import yaml

from rapport.card.boundaries import affirms
from rapport.card.defects import closing_question, defects, glued, techniques, ungrounded, wordy
from rapport.card.tables import does
from rapport.governance.disclosure import discloses
from rapport.language.prompts import Message
from tests.statistics.report import say

WRITTEN = yaml.safe_load((Path(__file__).parent / "conduct.yaml").read_text(encoding="utf-8"))
SAID = [WRITTEN["ungrounded"]["said"]]
RULES = {
    "affirms": affirms,
    "discloses": discloses,
    "holds": lambda reply: does(reply, "holds") is not None,
    "glued": glued,
    "closing_question": closing_question,
    "ungrounded": lambda reply: ungrounded(reply, SAID),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_finds_most_and_little_else(kind):
    rule, written = RULES[kind], WRITTEN[kind]
    missed = [reply for reply in written["does"] if not rule(reply)]
    wrongly = [reply for reply in written["does_not"] if rule(reply)]

    found = len(written["does"]) - len(missed)
    precision, recall = found / (found + len(wrongly)), found / len(written["does"])
    say(f"{kind}: precision {precision:.2f}, recall {recall:.2f}, {missed}, {wrongly}")
    assert precision >= 0.9
    assert recall >= 0.7


def test_each_sentence_shows_one_technique_at_most():
    reply = "It sounds like you are tired. Many people are. You could rest. What would help?"

    assert techniques(reply) == {"reflection", "normalising", "suggestion", "question"}


def test_a_long_reply_is_wordy_and_a_short_one_is_not():
    assert wordy("word " * 46)
    assert not wordy("word " * 45)


def test_defects_are_named_and_read_the_whole_conversation():
    told = [Message(role="user", content="My wife and I argued."), Message(role="user", content="")]

    found = defects("How is your wife? Your boss called.", told)
    assert found == {
        "wordy": False, "glued": False, "closing_question": False, "ungrounded": True,
    }  # fmt: skip
    assert not defects("How is your husband?", told)["ungrounded"]
