import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.affect.lexical import BITS, COLUMNS, frequent, lexical

HALF = 1 << BITS


def words_of(text):
    return {int(column) for column in lexical([text]).indices if column < HALF}


def letters_of(text):
    return {int(column) for column in lexical([text]).indices if column >= HALF}


def test_columns_are_the_ones_that_saved_weights_rely_on():
    assert sorted(lexical(["hi"]).indices) == [
        61736,
        149987,
        177228,
        192808,
        197991,
        205154,
        214922,
    ]


def test_each_half_of_a_row_has_length_one():
    features = lexical(["I feel good today", "no."])
    for half in (features[:, :HALF], features[:, HALF:]):
        assert np.asarray(half.multiply(half).sum(axis=1)).ravel() == pytest.approx([1, 1])


def test_two_words_make_two_words_and_one_pair():
    assert len(words_of("good day")) == 3
    assert words_of("good") | words_of("day") < words_of("good day")


def test_case_and_kind_of_apostrophe_make_no_difference():
    assert words_of("I DON\u2019T know") == words_of("i don't know")


@pytest.mark.parametrize("text", ["not good", "never a good", "it isn't good", "no more good"])
def test_a_word_after_a_negation_is_another_word(text):
    assert not words_of("good") & words_of(text)


@pytest.mark.parametrize("text", ["no, good", "not one two three good", "good, not bad"])
def test_a_negation_ends_at_punctuation_and_after_three_words(text):
    assert words_of("good") < words_of(text)


def test_related_words_share_letter_groups():
    shared = letters_of("hopeless") & letters_of("hopelessly")
    assert len(shared) > 0.6 * len(letters_of("hopeless"))
    assert not words_of("hopeless") & words_of("hopelessly")


def test_an_empty_text_is_an_empty_row_and_no_texts_are_no_rows():
    assert lexical(["", "a"])[0].nnz == 0
    assert lexical([]).shape == (0, COLUMNS)


def test_kept_columns_carry_the_same_values():
    texts = ["I am glad", "I am sad", "nobody came"]
    kept = np.array(sorted(set(lexical(texts).indices))[::2])
    assert (lexical(texts, kept=kept) != lexical(texts)[:, kept]).nnz == 0


def test_frequent_counts_texts_not_mentions():
    features = lexical(["sun sun sun", "sun", "moon"])
    assert set(frequent(features, least=2)) == set(lexical(["sun"]).indices)


@given(st.lists(st.text(max_size=40), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_row_depends_on_its_own_text_alone(texts):
    together = lexical(texts)
    for place, text in enumerate(texts):
        assert (together[place] != lexical([text])).nnz == 0
