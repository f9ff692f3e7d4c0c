import numpy as np
import pytest

from rapport.personas.scatter import crowd_of, group_means, together
from tests.unit.personas.populations import a_population


def of(people):
    return crowd_of(people.vectors, people.users, people.conversations, seed=[0])


def test_the_scatter_of_a_worked_example():
    values = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]], np.float32)
    crowd = crowd_of(values, np.array([0, 0, 1]), np.array([0, 1, 2]), seed=[0])
    assert (crowd.rest.turns, crowd.held.turns) == (3, 0)
    assert crowd.rest.total.tolist() == [4.0, 2.0]
    assert crowd.rest.second.tolist() == [[10.0, 0.0], [0.0, 4.0]]
    assert (crowd.rest.users.count, crowd.rest.users.squares) == (2, 5.0)
    assert crowd.rest.users.between == pytest.approx(np.array([[8.0, 0.0], [0.0, 4.0]]))
    assert crowd.rest.conversations.between == pytest.approx(crowd.rest.second)


def test_parts_of_the_users_add_up_to_all_of_them():
    people = a_population(users=60)
    # 20 is a multiple of five, so that the same users are held out.
    parts = [of(people.part(slice(start, start + 20))) for start in (0, 20, 40)]
    added, whole = together(parts), of(people)
    for name in ("rest", "held", "whole"):
        one, other = getattr(added, name), getattr(whole, name)
        assert one.turns == other.turns
        np.testing.assert_allclose(one.total, other.total, rtol=1e-9)
        np.testing.assert_allclose(one.second, other.second, rtol=1e-9, atol=1e-9)
        for groups in ("users", "conversations"):
            mine, theirs = getattr(one, groups), getattr(other, groups)
            assert (mine.count, mine.squares) == (theirs.count, theirs.squares)
            np.testing.assert_allclose(mine.between, theirs.between, rtol=1e-9, atol=1e-9)
    assert [groups.count for groups in added.strangers] == [60, 60]


def test_between_is_the_scatter_of_group_means():
    people = a_population(users=30)
    means, sizes = group_means(people.vectors, people.users)
    expected = (means * sizes[:, None]).T @ means
    np.testing.assert_allclose(of(people).whole.users.between, expected, rtol=1e-9, atol=1e-9)


def test_shuffled_conversations_stay_with_their_user_and_strangers_are_as_large_as_users():
    people = a_population(users=25)
    crowd = of(people)
    assert crowd.whole.shuffled.squares == crowd.whole.conversations.squares
    assert {groups.squares for groups in crowd.strangers} == {crowd.whole.users.squares}
    quiet = np.trace(crowd.strangers[0].between)
    assert quiet < np.trace(crowd.whole.users.between)
