import datetime as dt

import pytest

from rapport.affect.reward import changed
from rapport.affect.waiting import DEFAULT_REWARD, overdue, terms
from rapport.testing import a_decision
from tests.unit.affect.logs import NOW, frame, report
from tests.unit.affect.test_reward import rewards


def promised(name="d", *, default=-0.25, wait_s=600.0, **columns):
    features = {**terms(default, wait_s=wait_s), "x": 1.0}
    return a_decision(decision_id=name, episode_id=name, features=features, **columns)


def after(decision, seconds):
    return decision["ts"] + dt.timedelta(seconds=seconds)


def test_the_default_stands_in_once_the_wait_is_over_and_not_before():
    decision = promised()
    assert rewards([], [decision], [], as_of=after(decision, 599)).height == 0
    found = rewards([], [decision], [], as_of=after(decision, 600))
    assert found["value"].to_list() == [-0.25]
    assert dict(found["channels"].to_arrow().to_pylist()[0]) == {"reward": -0.25}
    assert changed(rewards([], [decision], [], as_of=after(decision, 700)), found).height == 0


def test_a_reward_that_came_counts_alone_however_late():
    decision = promised()
    for minutes in (1, 60):
        given = [report(decision, "reward", 0.5, minutes=minutes)]
        assert rewards([], [decision], given, as_of=after(decision, 7200))["value"][0] == 0.5
    thumbs = [report(decision, "thumbs", 1.0)]
    assert rewards([], [decision], thumbs, as_of=after(decision, 7200))["value"][0] == 1.0


def test_a_dwell_time_is_no_verdict_so_the_default_joins_it():
    decision = promised()
    found = rewards([], [decision], [report(decision, "dwell", 0.0)], as_of=after(decision, 601))
    assert found.height == 1


@pytest.mark.parametrize("columns", [{"delivered": "fallback"}, {"wait_s": 1e6}])
def test_what_nobody_carried_out_or_still_waits_earns_none(columns):
    decision = promised(**columns)
    assert overdue(frame("decisions", [decision]), after(decision, 601)).height == 0


def test_decisions_without_terms_are_left_as_they_were():
    rows = [a_decision(decision_id="a", features=None), a_decision(decision_id="b", features={})]
    assert overdue(
        frame("decisions", [*rows, promised()]), NOW + dt.timedelta(days=999)
    ).rows() == [("d", -0.25)]
    assert overdue(frame("decisions", []), NOW).columns == ["decision_id", DEFAULT_REWARD]
