from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rapport.explanation.explain import explain
from rapport.explanation.vetoes import off_at
from rapport.policy.behaviour import Behaviour, draw
from rapport.policy.context_model import fit_context_model
from rapport.policy.features import Layout
from rapport.policy.policy import NOBODY, Policy, uniform_policy
from rapport.policy.recall import to_features
from rapport.policy.reward_model import RewardSettings, fit_reward_model
from rapport.schema import CRISIS_FACET
from rapport.store.switches import Switch
from tests.unit.policy.worlds import LAYOUT, a_situation, a_world

NOW = datetime(2026, 11, 26, tzinfo=UTC)
AGREED = ["serve", "memory", "analytics", "train", "experiment", "infer_affect"]


@pytest.fixture(scope="module")
def policy():
    data, _ = a_world(n=1500)
    older = Policy(
        layout=LAYOUT,
        behaviour=Behaviour(a=1.0, b=2.0, epsilon=0.3),
        learner="reward_model",
        context=fit_context_model(data),
        scorer=fit_reward_model(data, RewardSettings(epochs=2)),
    )
    newer = replace(
        older,
        behaviour=Behaviour(a=0.5, b=8.0, temperature=0.8, epsilon=0.1),
        scorer=fit_reward_model(data, RewardSettings(epochs=3), seed=1),
    )
    return newer.withholding([LAYOUT.personas[2]], older)


@pytest.fixture
def releases(policy, tmp_path):
    policy.save(tmp_path / "r1" / "policy")
    return tmp_path


def a_row(policy, *, persona=0, release_id="r1", agent="customer_support", **changes):
    """A decision of a policy, logged as serving does."""
    layout = policy.layout
    situation = a_situation(n=1, layout=layout, agent=agent, persona=np.array([persona]))
    columns = np.flatnonzero(layout.served(situation.agent)[0])
    scores = policy.decide(situation)
    shares = scores.probability[0, columns]
    index = draw(shares, 7)
    candidates = [
        {
            "candidate_id": f"d/{place}", "arm": layout.arms[column], "text": None,
            "origin": "base", "nlp_score": scores.nlp[0, column],
            "rec_score": scores.rec[0, column], "probability": float(shares[place]),
            "features": {}, "guard": None,
        }
        for place, column in enumerate(columns)
    ]  # fmt: skip
    return {
        "decision_id": "d", "episode_id": "e", "ts": NOW, "agent_id": agent, "source": "serve",
        "user_id": "someone", "turn_index": int(situation.turn_index[0]), "mode": "arm_first",
        "delivered": "full", "degraded": None, "persona_id": layout.personas[persona],
        "persona_margin": 0.7, "policy_id": policy.id, "release_id": release_id,
        "purposes": AGREED, "features": to_features(layout, situation),
        "candidates": candidates, "action_index": index, "propensity": float(shares[index]),
        "propensity_source": "logged", "rng_seed": 7,
    } | changes  # fmt: skip


def nothing_drawn(policy, **changes):
    row = a_row(policy)
    only = {**row["candidates"][0], "nlp_score": None, "rec_score": None, "probability": 1.0}
    only["guard"] = changes.pop("guard", None)
    return row | {"candidates": [only], "action_index": 0, "rng_seed": None} | changes


@pytest.mark.parametrize("persona", range(3))
def test_the_policy_that_answered_is_explained_the_one_before_where_it_was_withheld(
    policy, releases, persona
):
    told = explain(a_row(policy, persona=persona), releases)
    assert told.model.found
    assert told.model.incumbent is (persona == 2)
    assert told.model.b == (2.0 if persona == 2 else 8.0)
    assert told.chance is not None
    assert told.chance.largest_difference == pytest.approx(0, abs=1e-9)
    assert told.chance.seed_replays
    assert told.contributions.why_none is None


@pytest.mark.parametrize("persona", range(3))
def test_whoever_may_not_read_affect_gets_the_same_numbers_and_no_persona(
    policy, releases, persona
):
    told = explain(a_row(policy, persona=persona), releases, affect=False)
    assert told.persona is None
    assert told.chance is not None
    assert told.chance.largest_difference == pytest.approx(0, abs=1e-9)
    assert "scope 'affect'" in (told.contributions.why_none or "")
    assert LAYOUT.personas[persona] not in told.model_dump_json()


def test_what_stood_in_for_a_broken_policy_is_found_by_its_id(policy, releases):
    alone = policy.nlp_alone()
    told = explain(a_row(alone, degraded="policy:nlp_alone"), releases)
    assert (told.model.found, told.model.learner) == (True, "uniform")
    assert told.contributions.rec_method == "none"
    assert "decided alone" in told.degraded[0].meaning


def test_before_the_first_release_arms_are_even(tmp_path):
    even = uniform_policy(Layout.of([NOBODY]))
    told = explain(a_row(even, release_id=None), tmp_path)
    assert told.model.found
    safe = [each for each in told.candidates if each.safe]
    assert [each.share for each in safe] == [pytest.approx(1 / len(safe))] * len(safe)


def test_an_arm_that_chance_may_not_take_says_so(policy, releases):
    told = explain(a_row(policy), releases)
    escalation = next(each for each in told.candidates if each.arm == "escalation")
    if not escalation.probability:
        assert ("escalation", "menu") in {(veto.name, veto.by) for veto in told.vetoed}
    assert (escalation.safe, escalation.floor) == (False, 0)


def test_another_policy_than_the_releases_is_not_taken_for_it(policy, releases):
    row = a_row(policy, policy_id="0123456789abcdef")
    told = explain(row, releases)
    assert not told.model.found
    assert "release r1 holds another" in told.summary
    assert [each.probability for each in told.candidates] == [
        each["probability"] for each in row["candidates"]
    ]


def test_a_menu_that_changed_since_is_told(policy, releases):
    row = a_row(policy)
    row["candidates"][0]["probability"] += 0.01
    told = explain(row, releases)
    assert told.chance is not None
    assert told.chance.allowed is None
    assert "does not give the logged probabilities again" in told.summary


def test_an_earlier_row_without_its_state_is_explained_as_far_as_it_goes(policy, releases):
    told = explain(a_row(policy, features={"sentiment": 0.1}), releases)
    assert told.chance is not None
    assert told.chance.largest_difference == pytest.approx(0, abs=1e-9)
    assert "does not hold" in (told.contributions.why_none or "")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"delivered": "tool_call"}, "call of a tool"),
        ({"delivered": "structured"}, "structured output"),
        ({"mode": "control", "delivered": "control"}, "plain reply"),
        ({"mode": "control", "delivered": "control", "degraded": "arms:off"}, "switched off"),
        ({"mode": "control", "delivered": "guard_replaced", "guard": CRISIS_FACET}, "crisis"),
        ({"mode": "observe", "delivered": "observed"}, "observed"),
        ({"mode": "observe", "delivered": "fallback"}, "an approved reply stood in"),
        ({"mode": "observe", "delivered": "pinned"}, "named a model"),
        ({"source": "esconv", "propensity_source": "estimated"}, "log of the format esconv"),
    ],
)
def test_where_nothing_was_drawn_it_says_why(policy, releases, changes, word):
    told = explain(nothing_drawn(policy, **changes), releases)
    assert told.chance is None
    assert word in (told.not_drawn or "")
    assert (told.not_drawn or "?") in told.summary


def test_an_upstream_that_failed_is_told(policy, releases):
    told = explain(a_row(policy, degraded="rerank:engine, upstream:not_answering"), releases)
    assert [each.code for each in told.degraded] == ["rerank:engine", "upstream:not_answering"]
    assert "not answering" in told.summary


def test_what_was_off_is_what_was_off_then():
    hour = timedelta(hours=1)
    history = [
        Switch("arm", "question", True, "x", NOW - 2 * hour),
        Switch("arm", "question", False, "x", NOW - hour),
        Switch("persona", "dry-01", True, "x", NOW - hour),
        Switch("arm", "clarify", True, "x", NOW + hour),
    ]
    assert off_at(history, NOW) == {("persona", "dry-01")}
    assert off_at(history, NOW - hour - hour / 2) == {("arm", "question")}
