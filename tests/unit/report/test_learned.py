from dataclasses import replace
from typing import Any

import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.policy.behaviour import Behaviour
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import RewardSettings, fit_reward_model
from rapport.report.facts import Facts
from rapport.report.learned import learned
from tests.unit.policy.worlds import LAYOUT, a_world


@pytest.fixture
def facts(tmp_path):
    home = Home(tmp_path / "home")
    return Facts(home, Lake(home.lake), "default")


def test_the_curve_is_that_of_the_policy_that_serves(facts):
    scorer = fit_reward_model(a_world(n=600)[0], RewardSettings(epochs=5))
    policy = Policy(LAYOUT, Behaviour(), "reward_model", scorer=scorer)
    facts.__dict__["policy"] = policy
    section: Any = learned(facts)
    (plot,) = section.blocks
    held = plot.numbers.filter(plot.numbers["of"] == "users it never saw")
    assert held["pass"].to_list() == [1, 2, 3, 4, 5]
    assert scorer.learning is not None
    assert tuple(held["value"]) == scorer.learning.held_out
    assert "5 times over" in section.lead[0]
    assert "n " in plot.caption


def test_of_what_learned_nothing_or_of_a_release_of_before_nothing_is_shown(facts):
    facts.__dict__["policy"] = uniform_policy(LAYOUT)
    assert learned(facts) is None
    scorer = fit_reward_model(a_world(n=600)[0], RewardSettings(epochs=1))
    older = Policy(LAYOUT, Behaviour(), "reward_model", scorer=replace(scorer, learning=None))
    facts.__dict__["policy"] = older
    assert learned(facts) is None
