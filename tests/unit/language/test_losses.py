import numpy as np
import pytest
import torch

from rapport.errors import TooLittleDataError
from rapport.language.batches import Encoded
from rapport.language.loading import LanguageModel
from rapport.language.losses import Losses, evaluate, gain, reply_losses
from rapport.language.workers import Workers

EXAMPLES = [Encoded((5, 60, 7, 9, 2), 3, "a"), Encoded((5, 8, 70, 2), 1, "b")]


def by_hand(loaded: LanguageModel, example: Encoded) -> float:
    logits = loaded.model(torch.tensor([example.ids])).logits[0].log_softmax(-1)
    places = range(example.start, len(example.ids))
    return -sum(float(logits[place - 1, example.ids[place]]) for place in places)


def test_only_reply_tokens_are_counted_and_padding_changes_nothing(loaded: LanguageModel):
    with torch.no_grad():
        nats = reply_losses(loaded.model, EXAMPLES)

    expected = [by_hand(loaded, example) for example in EXAMPLES]
    np.testing.assert_allclose(nats.numpy(), expected, rtol=1e-4)


def test_evaluation_keeps_the_order_of_the_examples(loaded: LanguageModel):
    many = [EXAMPLES[i % 2] for i in (0, 1, 1, 0, 1)]

    losses = evaluate(loaded.model, many, Workers())

    assert losses.tokens.tolist() == [2, 3, 3, 2, 3]
    np.testing.assert_allclose(losses.nats[[0, 1]], losses.nats[[3, 4]], rtol=1e-5)


def test_perplexity_weighs_every_token_the_same():
    # 2 tokens at 1 nat each and 1 token at 4: exp(6 / 3).
    losses = Losses.of([2.0, 4.0], [2, 1])

    assert losses.perplexity == pytest.approx(np.exp(2.0))


def test_the_gain_is_in_nats_a_token_with_an_interval_around_it():
    before, after = Losses.of([4.0, 9.0, 6.0], [2, 3, 2]), Losses.of([2.0, 6.0, 3.0], [2, 3, 2])

    gained = gain(before, after, ["a", "b", "b"])

    assert gained.value == pytest.approx((2 + 3 + 3) / 7)
    assert gained.low <= gained.value <= gained.high
    assert gained.users == 2


def test_a_gain_over_one_user_says_nothing_about_others():
    losses = Losses.of([1.0, 2.0], [1, 1])

    with pytest.raises(TooLittleDataError):
        gain(losses, losses, ["a", "a"])
