from dataclasses import replace

import numpy as np
import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.report.facts import Facts
from rapport.report.leads import lead_table, leads
from rapport.testing import a_decision
from tests.unit.policy.worlds import a_world

USERS, EACH, RELEASE = 400, 4, "abcd-12"


@pytest.fixture
def facts(tmp_path):
    """A log of a release in which control users of one persona, few of another, earn .3 less."""
    home = Home(tmp_path / "home")
    rng = np.random.default_rng(3)
    n = USERS * EACH
    user = np.arange(n) // EACH
    control = (user % 10 == 0) & (user % 3 != 2)
    data, _ = a_world(n=n)
    names = np.array([f"user-{one}" for one in user])
    posterior = np.eye(3)[user % 3]
    reward = np.where(control, -0.1, 0.2) + 0.2 * rng.normal(size=n)
    reward[rng.random(n) < 0.1] = np.nan
    data = replace(
        data,
        user=names,
        control=control,
        usable=~control,
        reward=reward.clip(-1, 1),
        situation=replace(data.situation, posterior=posterior),
    )
    lake = Lake(home.lake)
    rows = [
        a_decision(decision_id=name, inference_id=name, release_id=RELEASE)
        for name in data.decision_id.tolist()
    ]
    lake.append("decisions", rows, writer="test")
    found = Facts(home, lake, "default")
    found.__dict__["_loaded"] = (data, "")
    return found


def test_the_lead_is_told_overall_and_by_persona_with_its_interval(facts):
    found = {one.group: one for one in leads(facts)}
    assert {one.policy for one in found.values()} == {f"release {RELEASE}"}
    assert set(found) == {"overall", "dry-01", "warm-02", "wry-03"}
    assert (found["overall"].users, found["overall"].control) == (372, 27)  # one never answered
    lead = found["overall"].lead
    assert lead is not None
    assert lead.low < 0.3 < lead.high
    assert lead.low > 0.2


def test_where_too_few_users_are_on_a_side_no_figure_is_given(facts):
    found = {one.group: one for one in leads(facts)}
    assert found["dry-01"].lead is None
    assert found["dry-01"].told == "too few users: 14 of 20"
    assert found["wry-03"].told == "too few users: 0 of 20"
    table = lead_table(list(found.values()))
    assert table.rows[1][-2:] == ("-", "too few users: 14 of 20")


def test_who_says_much_counts_once(facts):
    before = leads(facts)[0].lead
    data, _ = facts.__dict__["_loaded"]
    often = np.concatenate([np.arange(len(data)), np.repeat(np.arange(EACH, 2 * EACH), 50)])
    facts.__dict__["_loaded"] = (data.rows(often), "")
    after = leads(facts)[0].lead
    assert before is not None
    assert after is not None
    assert after.value == pytest.approx(before.value, abs=1e-9)


def test_without_decisions_there_is_nothing_to_tell(tmp_path):
    home = Home(tmp_path / "home")
    assert leads(Facts(home, Lake(home.lake), "default")) == []
