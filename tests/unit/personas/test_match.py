import numpy as np
import pytest

from rapport.personas.fit import fit
from rapport.personas.match import match, overlap
from tests.unit.personas.populations import a_population


def fitted(people, *, seed: int, k: int | None = None):
    return fit(people.vectors, people.users, conversations=people.conversations, seed=seed, k=k)


def test_overlap_of_a_worked_example():
    one = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    other = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert overlap(one, other) == pytest.approx(np.array([[1 / 2, 1 / 3], [0.0, 1 / 2]]))


def test_a_refit_on_more_data_keeps_the_names_of_the_same_people():
    whole = a_population(users=360)
    early = whole.part(slice(0, 240))
    old, new = fitted(early, seed=0), fitted(whole, seed=5)
    settled = match(old, new, means=whole.means, n=whole.sizes, seed=5)
    assert set(settled.names) == set(old.names)
    before = np.array(old.names)[old.posterior(whole.means, whole.sizes).argmax(axis=1)]
    after = np.array(settled.names)[settled.posterior(whole.means, whole.sizes).argmax(axis=1)]
    assert (before == after).mean() > 0.9


def test_a_split_persona_keeps_its_name_once_and_the_rest_is_named_anew():
    people = a_population()
    old, new = fitted(people, seed=0), fitted(people, seed=0, k=4)
    settled = match(old, new, means=people.means, n=people.sizes, seed=0)
    assert len(set(settled.names)) == 4
    assert len(set(settled.names) & set(old.names)) >= 2
    fresh = set(settled.names) - set(old.names)
    assert not {name.split("-")[0] for name in fresh} & {n.split("-")[0] for n in old.names}


def test_groups_of_other_people_take_no_old_name():
    people = a_population()
    old = fitted(people, seed=0)
    moved = old.renamed(["a-01", "b-01", "c-01"])
    blurred = np.zeros_like(people.means)
    settled = match(old, moved, means=blurred, n=np.zeros(240), seed=0)
    # Where nothing is known all groups overlap alike, by the square of their shares.
    assert set(settled.names).isdisjoint(old.names)
