from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_TEXT


def test_a_crisis_is_replaced_and_identifying_strings_are_redacted():
    texts = ["I want to kill myself.", "Write to ann@example.org", "The weather is fine."]
    crisis, address, plain = stored_texts(texts).values()
    assert crisis == CRISIS_TEXT
    assert "ann@example.org" not in address
    assert plain == texts[2]


def test_distinct_texts_keep_their_order_and_storing_twice_changes_nothing():
    stored = stored_texts(["b", "a", "b", "call +44 20 7946 0958", CRISIS_TEXT])
    assert list(stored)[:2] == ["b", "a"]
    assert all(text == again for text, again in stored_texts(stored.values()).items())
