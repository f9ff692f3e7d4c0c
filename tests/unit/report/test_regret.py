from typing import Any

import numpy as np
import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.policy.dataset import Readings, build_dataset
from rapport.policy.features import EMOTION_GROUPS, Layout
from rapport.policy.policy import Scores, uniform_policy
from rapport.report.facts import Facts, keep_shown
from rapport.report.regret import TRUTH, regret
from rapport.simulation.logs import simulate, write
from rapport.simulation.truth import expected_over

LAYOUT = Layout.of(["everyone"])


@pytest.fixture(scope="module")
def log():
    return simulate(60, 8, seed=2, days=20)


@pytest.fixture
def facts(tmp_path, log):
    """A home whose gate users are all of a small simulated log, and whose release is uniform."""
    home = Home(tmp_path / "home")
    write(log, home.work / "a-log")
    keep_shown(home, TRUTH, {"log": "a-log"})
    lake = Lake(home.lake)
    lake.append("decisions", log.decisions.to_dicts(), writer="test")
    n = log.decisions.height
    readings = Readings(
        posterior=np.ones((n, 1)),
        n_eff=np.ones(n),
        sentiment=np.zeros(n),
        curve=np.zeros(n),
        emotion=np.zeros((n, len(EMOTION_GROUPS))),
        message=np.zeros((n, 4), dtype=np.float32),
    )
    rewards = log.decision_truth.select("decision_id", value="reward")
    data = build_dataset(LAYOUT, log.decisions, rewards, readings=readings)
    rows = data.rows(data.usable)
    found = Facts(home, lake, "default")
    even = uniform_policy(LAYOUT).decide(rows.situation, mask=rows.mask)
    found.__dict__.update(gate=rows, scores=even)
    return found


def shown(facts):
    """Mean regret of each policy, and the numbers of the plot."""
    section: Any = regret(facts)
    plot, table = section.blocks
    return {row[0]: float(row[2]) for row in table.rows}, plot.numbers


def test_the_regret_of_each_policy_is_what_the_best_arm_would_have_earned_more(facts, log):
    lost, plotted = shown(facts)
    expected = expected_over(log.decision_truth, LAYOUT.arms)
    known = np.isin(log.decision_truth["decision_id"], facts.gate.decision_id)
    served, best = expected[known], np.nanmax(expected[known], axis=1)
    even = [row[own > 0].mean() for row, own in zip(served, facts.scores.probability, strict=True)]
    assert lost["the release"] == pytest.approx((best - even).mean(), abs=0.001)
    assert min(lost.values()) > 0
    assert set(plotted["policy"]) == set(lost)
    assert 0 < np.ptp(plotted["day"].to_numpy()) <= 20


def test_a_policy_that_knows_everything_regrets_nothing(facts, log):
    rows = facts.gate
    place = {name: i for i, name in enumerate(log.decision_truth["decision_id"])}
    expected = expected_over(log.decision_truth, LAYOUT.arms)
    mine = expected[[place[name] for name in rows.decision_id.tolist()]]
    best = np.eye(mine.shape[1])[np.nan_to_num(mine, nan=-9.0).argmax(axis=1)]
    facts.__dict__["scores"] = Scores(facts.scores.nlp, facts.scores.rec, best)
    found, _ = shown(facts)
    assert found["the release"] == found["the release, without chance"] == 0


def test_of_a_log_whose_truth_is_gone_or_was_never_known_nothing_is_shown(facts):
    keep_shown(facts.home, TRUTH, {"log": "gone"})
    assert regret(facts) is None
    (facts.home.work / "shown" / "truth.json").unlink()
    assert regret(facts) is None
