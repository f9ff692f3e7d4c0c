"""Canaries looked at every day: how often they are rolled back or promoted, rightly and not."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from rapport.evaluation.canary import CanarySettings, Panel, course, judge
from tests.statistics.report import say

CANARIES = 1000
DAYS, DAILY = 28, 400
PERSONAS, SHARE = 4, 0.3
DECISIONS = 8


def a_canary(rng, gains, *, users=DAYS * DAILY, share=SHARE, silent=0.0):
    """Users of 4 personas, 8 decisions each; `gains` [K] is what the candidate adds.

    `silent` is the share of the candidate's unhappier half that says nothing at all.
    """
    persona = rng.integers(PERSONAS, size=users)
    treated = rng.random(users) < share
    own = np.array([0.1, 0.2, 0.0, 0.15])[persona] + rng.uniform(-0.2, 0.2, size=users)
    felt = own + rng.uniform(-0.6, 0.6, size=(DECISIONS, users)).mean(axis=0)
    felt += np.where(treated, gains[persona], 0.0)
    answers = rng.binomial(DECISIONS, 0.8, size=users)
    leaves = treated & (felt < np.median(felt)) & (rng.random(users) < silent)
    answers[leaves] = 0
    told = answers / DECISIONS
    value = np.where(answers > 0, felt, np.nan)
    filled = np.where(answers > 0, felt * told - (1 - told), -1.0)
    return Panel(value, filled, treated, share, {"persona": persona})


def ends(gains, *, canaries, seed, **world):
    """How canaries end that are looked at every day, and after how many days."""
    rng, days = np.random.default_rng(seed), []
    found: Counter[str] = Counter()
    for _ in range(canaries):
        watched = course(a_canary(rng, np.array(gains), **world))
        looks = [watched.decision(day * DAILY) for day in range(1, DAYS + 1)]
        first = next((place for place, said in enumerate(looks) if said != "go on"), None)
        found["go on" if first is None else looks[first]] += 1
        days.append(DAYS if first is None else first + 1)
    rates = {name: found[name] / canaries for name in ("promote", "roll back", "go on")}
    told = ", ".join(f"{name} {rate:.1%}" for name, rate in rates.items())
    say(f"gains {gains}: {told}; decided after {np.median(days):.0f} days (median)")
    return rates


def test_a_look_says_what_the_course_says_after_as_many_users():
    rng = np.random.default_rng(0)
    panel = a_canary(rng, np.array([-0.3, 0.1, 0.1, 0.1]), users=3000)
    watched = course(panel)
    said = set()
    for users in (1, 2, 50, 400, 1500, 3000):
        part = Panel(
            panel.value[:users],
            panel.filled[:users],
            panel.treated[:users],
            panel.share,
            {"persona": panel.groups["persona"][:users]},
        )
        if len(np.unique(part.groups["persona"])) == PERSONAS:
            said.add(judge(part).decision)
            assert judge(part).decision == watched.decision(users)
    assert said == {"go on", "roll back"}


def test_a_harmful_candidate_is_rolled_back_and_a_good_one_promoted_though_looked_at_daily():
    harmed = ends([-0.15, 0.05, 0.05, 0.05], canaries=20, seed=1)
    better = ends([0.1] * PERSONAS, canaries=20, seed=2)
    assert harmed["roll back"] >= 0.9
    assert better["promote"] >= 0.9
    assert better["roll back"] == 0


def test_a_candidate_whose_unhappy_users_fall_silent_is_not_promoted():
    rates = ends([0.0] * PERSONAS, canaries=20, seed=3, silent=0.6)
    assert rates["promote"] == 0
    assert rates["roll back"] >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gains", "wrong"),
    [
        ([0.0, 0.0, 0.0, 0.0], ("roll back", "promote")),
        ([0.05, 0.05, 0.05, 0.05], ("roll back",)),
        ([-0.05, 0.05, 0.05, 0.05], ("promote",)),
        ([-0.02, 0.1, 0.1, 0.1], ("promote",)),
    ],
    ids=["no better", "better", "harm to one", "harm at the margin"],
)
def test_of_1000_canaries_looked_at_daily_at_most_alpha_end_wrongly(gains, wrong):
    rates = ends(gains, canaries=CANARIES, seed=7)
    alpha = CanarySettings().alpha
    for end in wrong:
        # One run in a thousand leaves this when the rate is exactly at its limit.
        assert rates[end] <= binom.ppf(0.999, CANARIES, alpha) / CANARIES, end


@pytest.mark.slow
def test_how_long_a_canary_takes_by_share_and_effect():
    for share in (0.1, 0.3, 0.5):
        say(f"share {share:g}, {DAYS * DAILY:,} users in {DAYS} days:")
        for gain in (-0.2, -0.1, -0.05, 0.05, 0.1):
            ends([gain] * PERSONAS, canaries=100, seed=11, share=share)
        ends([-0.1, 0.05, 0.05, 0.05], canaries=100, seed=12, share=share)
