import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from rapport.errors import TooLittleDataError
from rapport.personas.fit import fit
from rapport.users.features import FEATURES
from rapport.users.timelines import KINDS
from tests.unit.personas.populations import Population, a_population


def fitted(people: Population, **settings):
    return fit(people.vectors, people.users, conversations=people.conversations, seed=0, **settings)


def clicks_by_persona(people: Population, *, seed: int = 0):
    """Features of users who click the more, the higher their persona's number."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(people.persona), len(FEATURES)))
    counts[:, KINDS.index("message")] = people.sizes
    counts[:, KINDS.index("click")] = rng.poisson(2.0 + 6.0 * people.persona)
    return np.log1p(counts).astype(np.float32)


def test_personas_are_found_counted_and_named():
    people = a_population()
    model = fitted(people)
    named = model.posterior(people.means, people.sizes).argmax(axis=1)
    assert len(model.names) == len(set(model.names)) == 3
    assert adjusted_rand_score(people.persona, named) > 0.8
    assert np.bincount(named).tolist() == model.users.tolist()
    assert np.exp(model.log_prior).sum() == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_model():
    people = a_population()
    assert fitted(people).version == fitted(people).version


def test_a_few_loud_users_hide_nobody_elses_persona():
    people, loud, rng = a_population(), 3, np.random.default_rng(0)
    strange = rng.normal(size=(loud, people.vectors.shape[1]))
    strange *= 3 / np.linalg.norm(strange, axis=1, keepdims=True)
    users = np.repeat(np.arange(loud), 400)
    noise = rng.normal(scale=people.vectors.std(), size=(len(users), strange.shape[1]))
    talks = np.repeat([people.conversations[people.users == u][-1] for u in range(loud)], 400)
    model = fit(
        np.concatenate([people.vectors, (strange[users] + noise).astype(np.float32)]),
        np.concatenate([people.users, users]),
        conversations=np.concatenate([people.conversations, talks]),
        seed=0,
    )
    named = model.posterior(people.means, people.sizes).argmax(axis=1)
    assert adjusted_rand_score(people.persona[loud:], named[loud:]) > 0.9


def test_the_number_of_personas_can_be_given():
    people = a_population()
    assert len(fitted(people, k=5).names) == 5
    alone = fitted(people, k=1)
    assert alone.posterior(people.means, people.sizes).tolist() == [[1.0]] * 240


def test_users_without_a_voice_of_their_own_are_one_persona():
    people = a_population(voice=0.0)
    model = fitted(people, features=clicks_by_persona(people))
    assert len(model.names) == 1
    assert model.users.tolist() == [240]


def test_events_help_where_they_differ_between_personas():
    people = a_population(voice=0.55, users=400)
    features = clicks_by_persona(people)
    words, both = fitted(people), fitted(people, features=features)
    assert words.habits is None
    by_words = words.posterior(people.means, people.sizes).argmax(axis=1)
    by_both = both.posterior(people.means, people.sizes, features).argmax(axis=1)
    found = [adjusted_rand_score(people.persona, named) for named in (by_words, by_both)]
    assert found[1] > found[0] + 0.05


def test_events_that_differ_by_chance_alone_change_next_to_nothing():
    people = a_population(users=400)
    shuffled = np.random.default_rng(0).permutation(clicks_by_persona(people))
    model = fitted(people, features=shuffled)
    by_words = model.posterior(people.means, people.sizes).argmax(axis=1)
    by_both = model.posterior(people.means, people.sizes, shuffled).argmax(axis=1)
    assert (by_words == by_both).mean() > 0.97


def test_users_without_conversations_are_taken_as_having_had_one():
    people = a_population(voice=2.0)
    model = fit(people.vectors, people.users, seed=0, k=3)
    assert model.posterior(people.means, people.sizes).shape == (240, 3)


def test_a_handful_of_users_is_too_little():
    people = a_population(users=16)
    with pytest.raises(TooLittleDataError, match="20"):
        fitted(people)
