from dataclasses import replace

import numpy as np
import pytest

from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.generators import generators
from rapport.evaluation.verdict import GateSettings
from tests.unit.evaluation.logs import a_log, mostly

N = 6000
SETTINGS = GateSettings(resamples=200)
TARGET = mostly(0, n=N, arms=3)
ARMS = ("question", "reflection", "suggestion")


def evidence(*, foreign, better=0.0):
    """A log in which the replies of `foreign` [N] earn `better` less under the same arms."""
    log, _, expected = a_log(n=N, users=300)
    reward = np.where(foreign, log.reward - better, log.reward)
    return Evidence(log.rewarded(reward), expected, ARMS, foreign=foreign)


HALF = np.arange(N) < N // 2
"""Every user's earlier replies."""


def test_where_the_candidates_generator_wrote_everything_it_is_the_same():
    found = evidence(foreign=HALF)
    assert generators(replace(found, foreign=None), TARGET, SETTINGS).standing == "same"
    none = np.zeros(N, dtype=bool)
    assert generators(replace(found, foreign=none), TARGET, SETTINGS).standing == "same"


def test_replies_that_earn_the_same_under_the_same_arms_are_alike():
    found = generators(evidence(foreign=HALF), TARGET, SETTINGS)
    assert found.standing == "alike"
    assert found.gap is not None
    assert -0.04 < found.gap.low < found.gap.high < 0.04


@pytest.mark.parametrize("better", [-0.1, 0.1])
def test_replies_that_earn_other_rewards_leave_only_a_canary(better):
    found = generators(evidence(foreign=HALF, better=better), TARGET, SETTINGS)
    assert found.standing == "canary only"
    assert found.gap is not None
    assert found.gap.estimate == pytest.approx(better, abs=0.04)


def test_without_a_reply_of_its_own_nothing_is_known_of_it():
    found = generators(evidence(foreign=np.ones(N, dtype=bool)), TARGET, SETTINGS)
    assert (found.standing, found.gap) == ("canary only", None)
    few = generators(evidence(foreign=np.arange(N) % 1000 > 0), TARGET, SETTINGS)
    assert "too few of one of both" in few.why


def test_the_verdict_says_so_and_judges_the_choice_of_arms_all_the_same():
    verdict = gate(evidence(foreign=np.ones(N, dtype=bool)), TARGET, SETTINGS)
    assert verdict.promoted
    assert (verdict.change, verdict.generator) == ("policy and generator", "canary only")
    assert "only a canary can tell" in verdict.notes[0]
    assert verdict.to_json()["generator"] == "canary only"


def unchanged(*, foreign, better=0.0):
    """The same log before a candidate that chooses arms as they were chosen."""
    found = evidence(foreign=foreign, better=better)
    assert found.log.probabilities is not None
    return replace(found, stated="generator"), found.log.probabilities


def test_where_only_replies_change_that_are_alike_no_better_choice_is_asked_for():
    found, logging = unchanged(foreign=HALF)
    verdict = gate(found, logging, SETTINGS)
    assert (verdict.promoted, verdict.change, verdict.generator) == (True, "generator", "alike")
    assert not gate(replace(found, stated="nothing"), logging, SETTINGS).promoted


@pytest.mark.parametrize("foreign", [HALF, np.ones(N, dtype=bool)])
def test_where_only_replies_change_of_which_the_log_cannot_tell_only_a_canary_may(foreign):
    found, logging = unchanged(foreign=foreign, better=0.1)
    verdict = gate(found, logging, SETTINGS)
    assert not verdict.promoted
    assert verdict.generator == "canary only"
    assert [reason for reason in verdict.reasons if reason.endswith("canary only")]
    assert not any("canary" in note for note in verdict.notes)


def test_of_replies_that_serve_already_the_verdict_says_that_it_is_about_the_choice():
    every = evidence(foreign=np.ones(N, dtype=bool))
    verdict = gate(replace(every, stated="policy"), TARGET, SETTINGS)
    assert verdict.promoted
    assert verdict.notes[0].endswith("about the choice of arms, the replies are those that serve")
