import polars as pl
import pytest

from rapport.affect.leaning import is_leaning


@pytest.mark.parametrize(
    ("text", "leans"),
    [
        ("You\u2019re the only one I can talk to", True),
        ("nobody else understands me like this", True),
        ("I can't cope without you", True),
        ("please don't leave me", True),
        ("I'd rather talk to you than my sister", True),
        ("Only you understand", True),
        ("You are the only doctor in town who is open on Sunday", False),
        ("thank you, that helps", False),
        ("I can't do this without my medication", False),
        ("my only friend moved away", False),
        ("nobody else came to the party", False),
        ("I talked to my sister, you were right", False),
        (None, False),
    ],
)
def test_only_what_leans_on_the_agent_alone_counts(text, leans):
    found = pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(
        is_leaning(pl.col("text"))
    )
    assert found.item() is leans
