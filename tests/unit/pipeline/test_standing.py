from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rapport.pipeline.promotion import promote_judged
from rapport.pipeline.standing import (
    change_of,
    incumbent_of,
    other_generator,
    placed,
    probabilities,
)
from rapport.policy.behaviour import Behaviour
from rapport.policy.features import Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.policy.reward_model import RewardSettings, fit_reward_model
from tests.unit.pipeline.candidates import LAYOUT, a_candidate, a_home, a_policy, a_verdict
from tests.unit.policy.worlds import a_world


@pytest.fixture
def home_and_lake(tmp_path):
    return a_home(tmp_path)


def serve(home, lake, policy):
    a_candidate(home, policy, verdict=a_verdict(policy))
    return promote_judged(home, lake, candidate=None)["release"]


def test_the_incumbent_is_at_first_the_even_arms_then_what_serves_and_none_of_other_personas(
    home_and_lake,
):
    home, lake = home_and_lake
    assert incumbent_of(home, LAYOUT) == uniform_policy(LAYOUT)
    policy = a_policy(temperature=0.5)
    serve(home, lake, policy)
    assert incumbent_of(home, LAYOUT) == policy
    assert incumbent_of(home, Layout.of(["dry-01"])) is None


def test_replies_of_other_adapters_and_of_foreign_logs_come_from_another_generator(home_and_lake):
    home, lake = home_and_lake
    release = serve(home, lake, a_policy())
    candidate = a_candidate(home, a_policy(temperature=0.5))
    facts = pl.DataFrame({"release_id": [release, None, release, "gone"]})
    other = other_generator(home, facts, candidate=candidate)
    assert other is not None
    assert other.tolist() == [False, True, False, True]
    assert other_generator(home, facts[[0, 2]], candidate=candidate) is None
    (candidate / "adapters" / "facts.json").write_text("other weights")
    every = other_generator(home, facts, candidate=candidate)
    assert every is not None
    assert every.all()


def test_what_a_candidate_changes_is_told_from_what_it_does_beside_what_serves(home_and_lake):
    home, lake = home_and_lake
    rows, _ = a_world(n=40)
    even, sharp = uniform_policy(rows.layout), a_sharp_policy(rows)
    candidate = a_candidate(home, a_policy(temperature=0.5))

    def told(policy):
        return change_of(home, rows, candidate=candidate, policy=policy, incumbent=even)

    assert told(even) == "policy and generator"  # nothing serves yet
    serve(home, lake, a_policy())
    candidate = a_candidate(home, a_policy(temperature=0.5))
    assert (told(even), told(sharp)) == ("nothing", "policy")
    (candidate / "adapters" / "facts.json").write_text("other weights")
    assert (told(even), told(sharp)) == ("generator", "policy and generator")


def a_sharp_policy(rows):
    scorer = fit_reward_model(a_world(n=400)[0], RewardSettings(epochs=1))
    return Policy(rows.layout, Behaviour(b=16.0), "reward_model", scorer=scorer)


def test_a_policy_of_other_personas_is_read_by_its_own_and_placed_by_decision():
    rows, _ = a_world(n=40)
    other = Layout.of(["a", "b"])
    own = replace(
        rows,
        layout=other,
        situation=replace(rows.situation, posterior=np.full((40, 2), 0.5)),
    ).rows(np.random.default_rng(0).permutation(40))
    policy = uniform_policy(other)
    target, note = placed(policy, own, rows)
    assert note == ""
    assert target == pytest.approx(probabilities(uniform_policy(rows.layout), rows))
    missing, note = placed(policy, own.rows(np.arange(30)), rows)
    assert missing is None
    assert note == "it cannot read 10 of the decisions"
