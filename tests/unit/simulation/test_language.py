import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.simulation.language import (
    PICKS,
    Wording,
    compose,
    draw_wording,
    manner_weights,
)
from rapport.simulation.phrases import SLOTS, phrasebook
from rapport.simulation.settings import AGENT_SHARES

MANNERS = len(phrasebook().manners)


def all_in(manner: int, *, mood: int = 0, effect: int = -1) -> Wording:
    return Wording(
        manner=np.full((1, len(SLOTS)), manner),
        pick=np.zeros((1, len(PICKS)), dtype=np.int64),
        mood=np.array([mood]),
        effect=np.array([effect]),
    )


@pytest.mark.parametrize(
    ("manner", "text"),
    [
        (0, "Hi, my boss moved the office deadline and I feel quite bad. What should I do?"),
        (1, "Well, great, my boss moved the office deadline and naturally I feel mildly doomed..."),
        (4, "Um, is it okay to ask? My boss moved the office deadline and I suppose I feel sort of "
            "ashamed, sorry."),
        (5, "Listen, I feel totally furious. My boss moved the office deadline!! What now?"),
    ],
)  # fmt: skip
def test_a_message_puts_its_parts_together_in_the_order_of_its_manner(manner, text):
    assert compose(all_in(manner), topics=["work"], agents=["emotional_support"]) == [text]


def test_a_later_message_speaks_of_the_last_reply():
    text = compose(all_in(0, mood=2, effect=2), topics=["work"], agents=["emotional_support"])[0]
    assert text.startswith("Hi, that helps a bit, my boss")
    assert "quite better" in text


@given(st.integers(0, 2**32 - 1), st.sampled_from(phrasebook().topics))
@settings(max_examples=40, deadline=None)
def test_every_message_has_8_to_25_words_and_begins_with_a_capital(seed, topic):
    rng = np.random.default_rng(seed)
    weights = np.full((30, len(SLOTS), MANNERS), 1 / MANNERS)
    wording = draw_wording(
        weights, mood=rng.integers(0, 3, 30), effect=rng.integers(-1, 3, 30), rng=rng
    )
    agents = [list(AGENT_SHARES)[row % 2] for row in range(30)]
    for text in compose(wording, topics=[topic] * 30, agents=agents):
        assert 8 <= len(text.split()) <= 25
        assert text[0].isupper()
        assert "  " not in text


def test_weights_lean_to_the_own_manner_by_the_stated_amount():
    rng = np.random.default_rng(0)
    personas = np.arange(4000) % 4
    weights = manner_weights(personas, kinds=4, leaning=0.2, rng=rng)
    np.testing.assert_allclose(weights.sum(axis=2), 1.0)
    own = weights[np.arange(4000), :, personas + 1].mean()
    # (1 - l) * .15 + l; the Dirichlet's and the leaning's spread leave .001 of noise.
    assert own == pytest.approx(0.8 * 0.15 + 0.2, abs=0.004)
    assert weights[:, :, 0].mean() == pytest.approx(0.8 * 0.4, abs=0.004)


def test_wording_follows_its_weights_and_says_nothing_of_a_reply_that_was_not():
    weights = np.zeros((500, len(SLOTS), MANNERS))
    weights[:, :, 3] = 1.0
    rng = np.random.default_rng(1)
    zeros = np.zeros(500, dtype=np.int64)
    first = draw_wording(weights, mood=zeros, effect=zeros - 1, rng=rng)
    assert np.all(first.manner == 3)
    assert np.all(first.effect == -1)
    later = draw_wording(weights, mood=zeros, effect=zeros + 2, rng=rng)
    assert set(later.effect.tolist()) == {-1, 2}
