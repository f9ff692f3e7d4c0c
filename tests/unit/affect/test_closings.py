import polars as pl
import pytest

from rapport.affect.closings import is_closing, takes_leave


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


@pytest.mark.parametrize(
    ("text", "leaves"),
    [("Thanks, but that did not help", True), ("I feel better", False), (None, False)],
)
def test_thanks_anywhere_are_found_where_nothing_may_rest_on_them(text, leaves):
    said = pl.DataFrame({"text": [text]}, schema={"text": pl.String})
    assert said.select(takes_leave(pl.col("text"))).item() is leaves
