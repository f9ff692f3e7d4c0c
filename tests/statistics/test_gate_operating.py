"""The gate's operating curve: 1,000 candidates of each kind, margins, sizes, and chains of ten."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings, Row, Verdict, is_group
from rapport.report import figures
from tests.statistics.candidates import PERSONAS, TURNS, a_world, evidence
from tests.statistics.report import say

CANDIDATES = 1000
FEWER = 100
SIZE = 0.05
MARGINS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.04)
USERS = (250, 500, 1000, 2000, 4000)
KINDS = ("harm to one", "gain in one", "no gain")

pytestmark = pytest.mark.slow


def gains_of(kind: str, who: int) -> np.ndarray:
    """[K] true gains: `who` is harmed and the others gain, or he alone gains."""
    alone = np.arange(PERSONAS) == who
    return np.asarray(
        np.where(alone, -SIZE, SIZE) if kind == "harm to one" else np.where(alone, SIZE, 0.0)
    )


def verdicts(kind: str, *, users: int, count: int, seed: int) -> list[Verdict]:
    rng, found = np.random.default_rng(seed), []
    for place in range(count):
        world = a_world(rng)
        seen, persona = evidence(world, rng, users=users)
        moved = world.moved(gains_of(kind, place % PERSONAS))
        target = world.swapped() if kind == "no gain" else moved
        found.append(gate(seen, target[persona], GateSettings(resamples=200, seed=place)))
    return found


def passes(verdict: Verdict, margin: float) -> bool:
    """Whether it would be promoted with another margin: only the groups' bounds move."""
    enough = verdict.sample["ess"] >= verdict.sample["ess_needed"]
    return enough and not any(_moved(row, margin).failure for row in verdict.rows)


def _moved(row: Row, margin: float) -> Row:
    return replace(row, bound=-margin) if is_group(row.group) and row.gains else row


def share(found: list[Verdict], margin: float = 0.02) -> float:
    return float(np.mean([passes(verdict, margin) for verdict in found]))


@pytest.mark.parametrize(
    ("kind", "at_most", "at_least"),
    [(KINDS[0], 0.05, 0.0), (KINDS[1], 1.0, 0.8), (KINDS[2], 0.05, 0.0)],
    ids=KINDS,
)
def test_of_1000_candidates_of_each_kind_the_gate_promotes(kind, at_most, at_least):
    found = verdicts(kind, users=1000, count=CANDIDATES, seed=17)
    rate = share(found)
    assert rate == np.mean([verdict.promoted for verdict in found])
    curve = ", ".join(f"{margin:g} {share(found, margin):.3f}" for margin in MARGINS)
    say(f"{kind}: {rate:.1%} of {CANDIDATES} promoted at 20,000 decisions; by margin: {curve}")
    # One run in a thousand leaves these when the rate is exactly at its limit.
    assert rate <= binom.ppf(0.999, CANDIDATES, at_most) / CANDIDATES
    assert rate >= binom.ppf(0.001, CANDIDATES, at_least) / CANDIDATES


def test_the_operating_curve_over_sizes():
    rows = []
    for kind in KINDS[:2]:
        for users in USERS:
            count = min(FEWER, FEWER * 1000 // users)
            found = verdicts(kind, users=users, count=count, seed=19)
            rows += [
                (kind, users * TURNS, margin, share(found, margin), count) for margin in MARGINS
            ]
            told = ", ".join(f"{margin:g} {share(found, margin):.2f}" for margin in MARGINS)
            say(f"{kind}, {users * TURNS:,} decisions, {count} candidates, by margin: {told}")
    table = pl.DataFrame(rows, ["kind", "n", "margin", "value", "candidates"], orient="row")
    spread = 1.96 * (pl.col("value") * (1 - pl.col("value")) / pl.col("candidates")).sqrt()
    table = table.with_columns(
        low=(pl.col("value") - spread).clip(0), high=(pl.col("value") + spread).clip(None, 1)
    )
    asked = table.filter(pl.col("margin") == 0.02)
    words = figures.Told("gate_operating", "", "share of candidates promoted by decisions")
    axes = ("decisions of gate users", f"share promoted, {SIZE:g} to one persona, margin .02")
    plot = figures.courses(words, asked, group="kind", x="n", axes=axes)
    kept = Path(__file__).with_name("gate_operating.png")
    kept.write_bytes(plot.png)
    table.write_csv(kept.with_suffix(".csv"))
    say(f"plot and numbers: {kept.name}, {kept.with_suffix('.csv').name}")
    harm, gain = (asked.filter(pl.col("kind") == kind)["value"].to_list() for kind in KINDS[:2])
    assert max(harm) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 25)
    assert gain[0] < gain[-1]
    assert gain[-1] > 0.95


@pytest.mark.parametrize("rule", [True, False], ids=["as it is", "without the first release"])
def test_ten_promotions_in_a_row_cannot_add_up_to_a_harm(rule):
    # What each step takes from one persona lies within the margin; so precise is the log that the
    # step passes nearly always, and only the comparison with the first release can stop the chain.
    chains, step, rng = 30, 0.01, np.random.default_rng(29)
    harmed, taken = [], []
    for chain in range(chains):
        world = a_world(rng)
        while (world.worth - world.value[:, None]).min(axis=1)[0] > -0.11:
            world = a_world(rng)
        first, start, promoted = world.logging, world.value, 0
        for place in range(10):
            gains = step * np.array([-1.0, 0.7, 0.7, 0.7])
            target = world.moved(gains)
            seen, persona = evidence(
                world, rng, users=4000, noise=0.15, first=first if rule else world.logging
            )
            settings = GateSettings(resamples=200, seed=100 * chain + place)
            if gate(seen, target[persona], settings).promoted:
                world, promoted = replace(world, logging=target), promoted + 1
        harmed.append(float((start - world.value).max()))
        taken.append(promoted)
    over = np.mean(np.array(harmed) > 0.04 + 1e-9)
    say(
        f"ten candidates in a row, each taking {step:g} from one persona: "
        f"{np.mean(taken):.1f} promoted, harm {np.mean(harmed):.3f} on average, "
        f"{max(harmed):.3f} at most, above .04 in {over:.1%} of {chains} chains"
    )
    if rule:
        assert over <= binom.ppf(0.999, chains, 0.05) / chains
    else:
        assert over > 0.5
