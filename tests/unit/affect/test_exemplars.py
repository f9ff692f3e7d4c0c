import numpy as np
import pytest

from rapport.affect.exemplars import ExemplarScorer
from rapport.arms import agents, load_menu
from rapport.text import load_encoder


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.mark.parametrize("agent", agents())
def test_the_columns_are_the_served_arms_and_rows_sum_to_one(agent, encoder):
    scorer = ExemplarScorer.of(load_menu(agent), encoder)
    texts = ["What happened then?", "Many people feel that way."]
    found = scorer.predict(texts, encoder.encode(texts))
    assert scorer.arms == tuple(arm.name for arm in load_menu(agent).served)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert scorer.predict([], encoder.encode([])).shape == (0, len(scorer.arms))


def test_replies_like_the_exemplars_are_told_apart(encoder):
    scorer = ExemplarScorer.of(load_menu("emotional_support"), encoder)
    said = {
        "What has been the hardest part of the week?": "question",
        "It sounds like you feel left alone with it.": "reflection",
        "You could try a short walk in the evening.": "suggestion",
        "Many people feel this way after a move.": "normalising",
        "I want to be sure I understand, do you mean the new job?": "clarify",
    }
    found = scorer.predict(list(said), encoder.encode(list(said)))
    assert [scorer.arms[place] for place in found.argmax(axis=1)] == list(said.values())
