from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.policy.behaviour import Behaviour
from rapport.policy.learn import FLOORS, behaviours, measure, prepare
from rapport.policy.reward_model import RewardSettings, fit_reward_model, fold_of
from rapport.users.split import part_of
from tests.unit.policy.worlds import a_world


@pytest.fixture(scope="module")
def bench():
    return prepare(a_world(n=4000)[0])


@pytest.fixture(scope="module")
def rec(bench):
    return fit_reward_model(bench.data).rec_held_out(bench.data)


def test_gate_users_and_silent_rows_are_absent(bench):
    assert not set(bench.data.user) & set(a_world(n=4000)[0].part("gate").user)
    assert bench.data.reported.all()


def test_the_chosen_behaviour_beats_the_plain_product_and_the_log(bench, rec):
    found = measure(bench, rec)
    assert found.value > found.plain > found.logging
    assert found.behaviour.b / found.behaviour.temperature > 4
    assert found.behaviour.epsilon in FLOORS


def test_the_floor_is_the_largest_that_costs_less_than_the_log_can_tell(bench, rec):
    dear = measure(bench, rec).behaviour.epsilon
    alike = prepare(a_world(n=1000, gap=0.02)[0])
    cheap = measure(alike, fit_reward_model(alike.data).rec_held_out(alike.data)).behaviour.epsilon
    assert dear < cheap == FLOORS[-1]


def test_the_grid_is_wide_without_repetitions_and_starts_gently():
    grid = list(behaviours())
    sharpness = {(b.a / b.temperature, b.b / b.temperature) for b in grid}
    assert len(sharpness) == len(grid)
    assert max(b.b for b in grid) == 64
    assert min(b.temperature for b in grid) == 0.05
    assert grid[0] == Behaviour(a=0.0, b=1.0, temperature=1.0, epsilon=FLOORS[0])


def test_no_user_has_a_part_in_what_is_foretold_of_them(bench, rec):
    fold = fold_of(bench.data.user)
    changed = replace(bench.data, reward=np.where(fold == 0, -bench.data.reward, bench.data.reward))
    other = prepare(changed)
    for before, after in ((bench.nlp, other.nlp), (bench.q_hat, other.q_hat)):
        assert np.abs(before - after)[fold == 0].max() < 1e-4
        assert np.abs(before - after)[fold == 1].max() > 1e-2


def test_any_learner_is_asked_about_users_it_was_not_fitted_to(bench):
    seen = []

    def fit(data):
        seen.append(set(data.user))
        return fit_reward_model(data, RewardSettings(epochs=1))

    blind = bench.blind_rec(fit)
    everyone = set(bench.data.user)
    assert set.union(*(everyone - each for each in seen)) == everyone
    taken = bench.data.mask
    own = fit_reward_model(bench.data).rec_held_out(bench.data)
    assert np.corrcoef(blind[taken], own[taken])[0, 1] > 0.9


def test_without_messages_a_bench_measures_the_same(bench, rec):
    light = bench.without_messages()
    assert light.data.situation.message.shape[1] == 0
    assert measure(light, rec) == measure(bench, rec)


def test_too_few_rewards_are_refused_and_those_of_too_few_users():
    one_user = a_world(n=4000, users=1)[0]
    assert part_of(one_user.user[0]) != "gate"
    for few in (a_world(n=110)[0], one_user):
        with pytest.raises(TooLittleDataError, match="third of the users"):
            prepare(few)
