import numpy as np
import pytest
from scipy.optimize import check_grad

from rapport.personas.emotion import _loss, with_emotions
from rapport.personas.fit import fit
from tests.unit.personas.populations import a_population


def moods(personas: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Emotions of which the first is the louder, the higher the persona's number."""
    rng = np.random.default_rng(seed)
    told = rng.beta(1.0, 12.0, (len(personas), 28))
    told[:, 0] = rng.beta(1.0 + 3.0 * personas, 4.0)
    return told.astype(np.float32)


def a_fit():
    people = a_population()
    model = fit(people.vectors, people.users, conversations=people.conversations, seed=0)
    places = model.posterior(people.means, people.sizes).argmax(axis=1)
    return people, model, places[people.users]


def log_loss(posterior, truth):
    return -np.log(posterior[np.arange(len(truth)), truth]).mean()


def test_an_emotion_that_tells_personas_apart_helps_a_single_message():
    people, model, truth = a_fit()
    both = with_emotions(model, people.vectors, truth, moods(truth))
    fresh = moods(truth, seed=1)
    ones = np.ones(len(truth))
    without = model.posterior(people.vectors, ones)
    assert (
        log_loss(both.posterior(people.vectors, ones, None, fresh), truth)
        < log_loss(without, truth) * 0.9
    )
    assert both.posterior(people.vectors, ones) == pytest.approx(without)


def test_emotions_that_tell_nothing_get_next_to_no_weight():
    people, model, truth = a_fit()
    shuffled = moods(np.random.default_rng(0).permutation(truth))
    both = with_emotions(model, people.vectors, truth, shuffled)
    ones = np.ones(len(truth))
    without = model.posterior(people.vectors, ones)
    changed = both.posterior(people.vectors, ones, None, shuffled)
    assert np.abs(changed - without).mean() < 0.03


def test_one_persona_needs_no_evidence():
    people = a_population()
    alone = fit(people.vectors, people.users, seed=0, k=1)
    places = np.zeros(len(people.users), int)
    assert with_emotions(alone, people.vectors, places, moods(places)).emotions is None


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    seen, offset = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    truth = np.eye(3)[rng.integers(0, 3, 30)]
    found = check_grad(
        lambda flat: _loss(flat, seen, offset, truth)[0],
        lambda flat: _loss(flat, seen, offset, truth)[1],
        rng.normal(size=12),
    )
    assert found < 1e-5
