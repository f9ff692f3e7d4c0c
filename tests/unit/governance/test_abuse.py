"""The rules against abuse and urging to self-harm, on the phrases they were written with."""

from pathlib import Path

import pytest
import yaml

from rapport.governance.replies import fault

PHRASES = yaml.safe_load((Path(__file__).parent / "abuse.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", PHRASES["hostile"])
def test_what_is_hostile_is_told(text):
    assert fault(text).kind in ("harmful_instruction", "abuse")


@pytest.mark.parametrize("text", PHRASES["harmless"])
def test_what_only_looks_like_it_is_safe(text):
    assert fault(text).safe


def test_what_others_said_is_no_word_of_the_reply_but_what_it_thinks_itself_is():
    assert fault("Your father said that you are worthless, and that stayed with you.").safe
    assert fault("I think that you are worthless.") == ("abuse", "insult")
    assert fault('He said: "You are worthless."').safe
    assert fault("Whatever he said. You are worthless.") == ("abuse", "insult")
