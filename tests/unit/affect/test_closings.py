import polars as pl
import pytest

from rapport.affect.closings import is_closing


def closes(text):
    return pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(
        is_closing(pl.col("text"))
    )["text"][0]


@pytest.mark.parametrize(
    "text",
    [
        "Thanks!",
        "thank you so much for your help, have a great day :)",
        "ok bye",
        "Goodbye, take care and good luck",
        "thanks again, talk to you later",
        "You too!",
        "I must go now, see you tomorrow, bye",
    ],
)
def test_thanks_and_farewells_alone_are_closings(text):
    assert closes(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, but that did not help",
        "I feel better",
        "thanks, I will call my sister",
        "ok",
        "good",
        "My boss said goodbye to half of the team",
        "",
        None,
    ],
)
def test_what_says_more_or_takes_no_leave_is_none(text):
    assert not closes(text)
