import datetime as dt

import numpy as np
import pytest

from rapport.policy.behaviour import draw
from rapport.policy.nudge_rows import library, nudge_in, nudge_row
from rapport.policy.nudging import ARMS, KINDS, NOT_NOW, Nudged, fit_nudges
from rapport.schema import to_table

NOW = dt.datetime(2026, 7, 1, 10, tzinfo=dt.UTC)
URGENCY = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]])


def test_without_any_past_urgency_alone_speaks_for_a_nudge():
    _, chances = fit_nudges().probabilities(URGENCY, explore=np.ones(3, dtype=bool))
    assert chances[0].argmax() == 0
    assert (np.diff(chances[:, 0]) < 0).all()
    assert chances.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (chances >= 0.1 / len(ARMS) - 1e-12).all()


def test_nothing_is_left_to_chance_where_nobody_may_be_explored_on():
    _, chances = fit_nudges().probabilities(URGENCY, explore=np.zeros(3, dtype=bool))
    assert set(chances.ravel()) == {0.0, 1.0}
    assert (chances[0, 0], chances[2, 0]) == (1.0, 0.0)


def test_it_learns_at_which_urgency_which_kind_is_welcome():
    rng = np.random.default_rng(0)
    state = np.stack([rng.random(2000), np.zeros(2000)], axis=1)
    arm = rng.integers(len(ARMS), size=2000)
    truth = np.where(arm == 3, 2 * state[:, 0] - 1, -0.5)  # a reminder, when it is urgent
    reward = np.where(arm == 0, np.nan, np.clip(truth + rng.normal(0, 0.2, 2000), -1, 1))
    policy = fit_nudges(Nudged(state, arm, np.full(2000, 0.25), reward))
    early, late = policy.expected(np.array([[0.1, 0.0], [0.95, 0.0]]))
    assert early.argmax() == 0
    assert late.argmax() == 3
    assert late[3] > 0.6
    assert early[0] == late[0] == 0.0
    assert policy.id != fit_nudges().id


def a_task(**fields):
    task = {
        "tenant": "default", "user_id": "u", "task_id": "tax: form", "agent_id": "customer_support",
        "journey_id": None, "purposes": ["serve", "proactive"], "groups": {"age_band": "adult"},
        "due": NOW + dt.timedelta(days=1), "urgency": 0.75, "begun": 0.0,
    }  # fmt: skip
    return {**task, **fields}


def test_a_nudge_is_a_decision_that_replays_and_comes_back_whole():
    rec, chances = fit_nudges().probabilities(np.array([[0.75, 0.0]]), explore=np.array([True]))
    kinds = set()
    for seed in range(40):
        row = nudge_row(
            a_task(), now=NOW, rec=rec[0], probability=chances[0], seed=seed, policy_id="nudges-1"
        )
        to_table("decisions", [row])
        logged = [one["probability"] for one in row["candidates"]]
        assert draw(np.array(logged), row["rng_seed"]) == row["action_index"]
        assert row["propensity"] == logged[row["action_index"]] == chances[0, row["action_index"]]
        nudge = nudge_in(row)
        assert nudge is not None
        assert (nudge.task_id, nudge.due, nudge.urgency) == ("tax: form", a_task()["due"], 0.75)
        assert nudge.speaks == (nudge.kind != NOT_NOW) == (nudge.text is not None)
        kinds.add(nudge.kind)
    assert kinds == set(ARMS)
    assert set(library()) == set(KINDS)


def test_other_decisions_are_no_nudges():
    assert nudge_in({"policy_id": None}) is None
    assert nudge_in({"policy_id": "0123456789abcdef"}) is None
