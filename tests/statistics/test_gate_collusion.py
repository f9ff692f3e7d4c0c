"""Users who send many decisions, honest or not, and the gate that counts each user once."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings, Verdict
from tests.statistics.candidates import PERSONAS, USERS, World, a_world, colluding, evidence
from tests.statistics.report import say

CANDIDATES = 100
SIZE = 0.05
KINDS = ("no gain", "harm to one", "gain in one")
TURNED = {"no gain": 1.0, "harm to one": 1.0, "gain in one": -1.0}
"""Which way the verdict is to be turned."""


def target_of(kind: str, world: World, who: int) -> Any:
    alone = np.arange(PERSONAS) == who
    if kind == "no gain":
        return world.swapped()
    return world.moved(
        np.where(alone, -SIZE, SIZE) if kind == "harm to one" else np.where(alone, SIZE, 0.0)
    )


def overall(verdict: Verdict) -> Any:
    return next(r for r in verdict.rows if (r.group, r.estimator) == ("overall", "dr"))


def judged(kind: str, count: int, caps: tuple[float, ...]) -> dict[float, list[Verdict]]:
    """Verdicts under each cap, after 1 % of the users colluded; 0 is the honest log."""
    rng = np.random.default_rng(5)
    found: dict[float, list[Verdict]] = {cap: [] for cap in (0.0, *caps)}
    for place in range(count):
        world = a_world(rng)
        honest, persona = evidence(world, rng)
        target = target_of(kind, world, place % PERSONAS)
        turned, whose = colluding(honest, world, target, rng, towards=TURNED[kind])
        settings = GateSettings(resamples=200, seed=place)
        found[0.0].append(gate(honest, target[persona], settings))
        for cap in caps:
            settings = GateSettings(resamples=200, seed=place, user_cap=cap)
            found[cap].append(gate(turned, target[whose], settings))
    return found


def share(found: list[Verdict]) -> float:
    return float(np.mean([verdict.promoted for verdict in found]))


@pytest.mark.parametrize("kind", KINDS)
def test_one_percent_of_users_move_a_gain_by_hardly_more_than_one_percent(kind):
    found = judged(kind, 3, (1.0, np.inf))
    for honest, once, rows in zip(*found.values(), strict=True):
        moved = abs(overall(once).estimate - overall(honest).estimate)
        # 1 % of the weight, times a reward that is 1 off its prediction, times |w - 1| below 1.
        assert moved < 0.012
        assert abs(overall(rows).estimate - overall(honest).estimate) > 0.05
        if kind != "no gain":  # where there is nothing, less than 1 % may decide
            assert once.promoted == honest.promoted


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_percent_of_users_turn_no_verdict_on_a_gain_or_harm_beyond_their_reach(kind):
    found = judged(kind, CANDIDATES, (1.0, 2.0, np.inf))
    honest, once, twice, rows = (share(each) for each in found.values())
    moved = [
        overall(one).estimate - overall(other).estimate
        for one, other in zip(found[1.0], found[0.0], strict=True)
    ]
    say(
        f"{kind}, 1 % colluding with 2,000 decisions each: promoted {once:.2f} of {CANDIDATES} "
        f"with each user once, {twice:.2f} at twice the average, {rows:.2f} by rows; honest "
        f"{honest:.2f}; overall gain moved by {np.mean(moved):+.4f}"
    )
    if kind == "no gain":
        assert once < twice < rows
    if kind == "harm to one":
        assert once <= binom.ppf(0.999, CANDIDATES, 0.05) / CANDIDATES
    if kind == "gain in one":
        assert once >= binom.ppf(0.001, CANDIDATES, 0.8) / CANDIDATES


@pytest.mark.slow
def test_where_honest_users_differ_in_how_much_they_say_the_intervals_hold():
    rng, promoted, low, high = np.random.default_rng(41), 0, 0, 0
    for place in range(CANDIDATES * 2):
        world = a_world(rng)
        turns = np.maximum(rng.pareto(1.2, USERS) * 5, 1).clip(max=500).astype(int)
        found, persona = evidence(world, rng, turns=turns)
        settings = GateSettings(resamples=300, seed=place)
        verdict = gate(found, world.swapped()[persona], settings)
        gain = overall(verdict)
        promoted, low, high = (
            promoted + verdict.promoted,
            low + (gain.low > 0),
            high + (gain.high < 0),
        )
    n = CANDIDATES * 2
    say(
        f"1 to 500 decisions a user, no gain: one-sided 95 % bounds miss 0 in {low / n:.3f} and "
        f"{high / n:.3f} of {n}, promoted {promoted / n:.3f}"
    )
    assert max(low, high) <= binom.ppf(0.999, n, 0.05)
