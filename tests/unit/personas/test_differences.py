import numpy as np
import polars as pl
import pytest

from rapport.personas.differences import differences


def measured(effect: float, *, people: int = 60, each: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    users = [f"{persona}{i}" for persona in "ab" for i in range(people)]
    members = pl.DataFrame({"user_id": users, "persona_id": [user[0] for user in users]})
    own = rng.normal(size=len(users)) + effect * np.array([user[0] == "a" for user in users])
    values = pl.DataFrame(
        {
            "user_id": np.repeat(users, each),
            "name": ["question", "reflection"] * (len(users) * each // 2),
            "value": np.repeat(own, each) + rng.normal(size=len(users) * each),
        }
    )
    return values, members


def test_a_group_is_compared_with_everybody():
    values, members = measured(1.0)
    question = differences(values, members, seed=0)["a"][0]
    own = values.filter(pl.col("user_id").str.starts_with("a"), pl.col("name") == "question")
    everybody = values.filter(pl.col("name") == "question")["value"].mean()
    assert question.name == "question"
    assert question.mean == pytest.approx(own["value"].mean())
    assert question.difference == pytest.approx(own["value"].mean() - everybody)
    assert question.low < question.difference < question.high
    assert (question.users, question.n) == (60, 120)
    assert question.clear


def test_the_order_of_the_rows_changes_no_digit():
    values, members = measured(0.3, each=24)
    shuffled = values.sample(fraction=1.0, shuffle=True, seed=1)
    assert differences(shuffled, members, seed=0) == differences(values, members, seed=0)


def test_intervals_cover_no_difference_as_often_as_they_say():
    missed = 0
    for seed in range(120):
        values, members = measured(0.0, people=40, seed=seed)
        missed += differences(values, members, seed=seed)["a"][0].clear
    # Binomial(120, .05): mean 6, standard deviation 2.4; bootstrap intervals run a little short.
    assert missed <= 6 + 4 * 2.4


def test_what_fewer_than_twenty_people_have_is_left_out():
    values, members = measured(1.0, people=19)
    assert differences(values, members, seed=0) == {"a": [], "b": []}


def test_values_that_are_no_numbers_and_strangers_are_ignored():
    values, members = measured(1.0)
    strange = pl.DataFrame(
        {"user_id": ["a0", "nobody"], "name": ["question"] * 2, "value": [np.nan, 1e9]}
    )
    found = differences(pl.concat([values, strange]), members, seed=0)
    assert found == differences(values, members, seed=0)


def test_nothing_measured_gives_nothing():
    values, members = measured(1.0)
    assert differences(values.clear(), members, seed=0) == {}
