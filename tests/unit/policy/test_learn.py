import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.policy.behaviour import Behaviour
from rapport.policy.learn import FLOORS, behaviours, measure, prepare
from rapport.policy.reward_model import fit_reward_model
from tests.unit.policy.worlds import a_world


@pytest.fixture(scope="module")
def bench():
    return prepare(a_world(n=4000)[0])


def test_train_and_tune_users_are_disjoint_and_gate_users_absent(bench):
    everyone = a_world(n=4000)[0]
    train, tune = set(bench.train.user), set(bench.tune.user)
    assert not train & tune
    assert not (train | tune) & set(everyone.part("gate").user)


def test_the_chosen_behaviour_beats_the_plain_product_and_the_log(bench):
    found = measure(bench, fit_reward_model(bench.train))
    assert found.value > found.plain > found.logging
    assert found.behaviour.b / found.behaviour.temperature > 4
    assert found.behaviour.epsilon in FLOORS


def test_the_floor_is_the_largest_that_costs_less_than_the_log_can_tell(bench):
    dear = measure(bench, fit_reward_model(bench.train)).behaviour.epsilon
    alike = prepare(a_world(n=1000, gap=0.02)[0])
    cheap = measure(alike, fit_reward_model(alike.train)).behaviour.epsilon
    assert dear < cheap == FLOORS[-1]


def test_the_grid_is_wide_without_repetitions_and_starts_gently():
    grid = list(behaviours())
    sharpness = {(b.a / b.temperature, b.b / b.temperature) for b in grid}
    assert len(sharpness) == len(grid)
    assert max(b.b for b in grid) == 64
    assert min(b.temperature for b in grid) == 0.05
    assert grid[0] == Behaviour(a=0.0, b=1.0, temperature=1.0, epsilon=FLOORS[0])


def test_without_messages_a_bench_measures_the_same(bench):
    scorer = fit_reward_model(bench.train)
    light = bench.without_messages()
    assert light.tune.situation.message.shape[1] == 0
    assert measure(light, scorer) == measure(bench, scorer)


def test_silent_tune_rows_are_left_out(bench):
    assert not np.isnan(bench.tune.reward).any()


def test_too_few_tune_rewards_are_refused():
    with pytest.raises(TooLittleDataError):
        prepare(a_world(n=150)[0])
