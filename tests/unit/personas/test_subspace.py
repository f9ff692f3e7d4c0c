import numpy as np
import pytest

from rapport.personas.scatter import crowd_of, group_means
from rapport.personas.subspace import find_subspace
from tests.unit.personas.populations import a_population


def subspace_of(people, **settings):
    crowd = crowd_of(people.vectors, people.users, people.conversations, seed=[0])
    return find_subspace(crowd.whole, strangers=crowd.strangers, **settings)


def test_group_means_of_a_worked_example():
    values = np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 4.0]])
    means, sizes = group_means(values, np.array([0, 1, 0]))
    assert means.tolist() == [[3.0, 2.0], [3.0, 0.0]]
    assert sizes.tolist() == [2.0, 1.0]


def test_as_many_directions_are_kept_as_personas_span():
    people = a_population()
    space = subspace_of(people)
    assert len(space.ratios) == 2
    assert (space.ratios > 1.25 * space.null).all()


def test_topics_do_not_show_in_the_subspace():
    people = a_population()
    space = subspace_of(people)
    points = space.transform(people.means)

    def share_between(labels):
        centres, _ = group_means(points, labels)
        moved = (centres[labels] - points.mean(axis=0)) ** 2
        return moved.sum() / ((points - points.mean(axis=0)) ** 2).sum()

    assert share_between(people.persona) > 0.6
    assert share_between(people.topic) < 0.05


def test_turns_of_a_user_scatter_by_about_one_in_every_direction():
    people = a_population(users=400)
    space = subspace_of(people)
    turns = space.transform(people.vectors)
    rest = turns - group_means(turns, people.users)[0][people.users]
    variance = (rest**2).sum(axis=0) / (len(rest) - len(people.persona))
    assert variance == pytest.approx(np.ones(len(variance)), abs=0.15)


def test_users_without_a_voice_of_their_own_leave_no_direction():
    people = a_population(voice=0.0)
    space = subspace_of(people)
    assert space.projection.shape == (96, 0)
    assert space.transform(people.means).shape == (240, 0)


def test_users_of_one_conversation_each_are_told_apart_from_topics_by_the_clusters():
    people = a_population(users=400, turns=4, voice=2.0)
    space = subspace_of(people)
    assert space.topics >= 4
    assert space.projection.shape[0] == 96


def test_the_number_of_directions_can_be_given():
    people = a_population(voice=0.0)
    space = subspace_of(people, dims=3)
    assert space.projection.shape == (96, 3)
    assert space.null == 0.0
