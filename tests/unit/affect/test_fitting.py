import numpy as np
import pytest

from rapport.affect.fitting import LEAST_TEXTS, Examples, fit_heads
from rapport.affect.linear import each
from rapport.errors import TooLittleDataError
from tests.unit.affect.replies import messages, unit_vectors


def agreement(scores, truth):
    return ((scores[:, 0] > 0) == (truth > 0.5)).mean()


def test_words_that_tell_are_learned_and_hold_on_new_texts():
    texts, glad = messages(300)
    fitted = fit_heads(Examples(texts, glad[:, None]), loss=each, rows=500, seed=0)
    new, truth = messages(100, seed=1)
    assert agreement(fitted.heads.scores(new), truth) == 1.0
    assert agreement(fitted.lexical_scores, glad) == 1.0


def test_scores_of_the_training_texts_come_from_weights_that_had_not_seen_them():
    texts = [f"w{place}x{place} q{place}z" for place in range(400)]
    labels = np.random.default_rng(0).integers(2, size=(400, 1)).astype(np.float32)
    fitted = fit_heads(Examples(texts, labels), loss=each, rows=20_000, seed=0)
    # Nothing can be learned: 400 fair guesses lie within 4 * sqrt(.25 / 400) of a half.
    assert abs(agreement(fitted.scores, labels[:, 0]) - 0.5) < 0.1


def test_the_second_layer_learns_what_words_do_not_say():
    vectors = unit_vectors(400)
    labels = (vectors[:, :1] > 0).astype(np.float32)
    texts = ["the same words every time"] * 400
    fitted = fit_heads(Examples(texts, labels, vectors), loss=each, rows=50, seed=0)
    assert agreement(fitted.heads.scores(texts, vectors), labels[:, 0]) > 0.9
    assert agreement(fitted.scores, labels[:, 0]) > 0.85
    assert np.ptp(fitted.heads.scores(texts)) == 0


def test_at_most_the_asked_number_of_features_is_kept_and_they_tell():
    texts, glad = messages(300)
    fitted = fit_heads(Examples(texts, glad[:, None]), loss=each, rows=40, seed=0)
    assert len(fitted.heads.kept) == 40
    assert agreement(fitted.heads.scores(texts), glad) == 1.0


def test_the_same_seed_gives_the_same_weights():
    texts, glad = messages(120)
    one, other = (
        fit_heads(Examples(texts, glad[:, None]), loss=each, rows=200, seed=3) for _ in range(2)
    )
    assert (one.heads.lexical == other.heads.lexical).all()
    assert (one.scores == other.scores).all()


def test_too_few_texts_are_refused():
    texts, glad = messages(LEAST_TEXTS - 1)
    with pytest.raises(TooLittleDataError, match="30 are needed"):
        fit_heads(Examples(texts, glad[:, None]), loss=each, rows=10, seed=0)
