"""Real like rates of replies: what is learnt from a simulated log of them, beside VW."""

import os

import numpy as np
import pytest

from rapport.evaluation.estimators import dr_terms
from rapport.policy.dataset import PolicyDataset
from rapport.policy.learn import CLIP
from rapport.policy.reward_model import fit_reward_model
from tests.statistics import likes as data
from tests.statistics.report import say
from tests.statistics.shares import interval, spread
from tests.statistics.vowpal import GRID, MISSING, PEER, greedy, vowpal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not data.FOLDER.exists(), reason="the likes are not at ../shared/data"),
    pytest.mark.skipif(PEER not in os.environ, reason=MISSING),
]
SEEDS = 20
MARGIN = 0.0025
"""Of a like rate: about a fortieth of what lies between the log and the best replies."""
RIVALS = ("logging", "vw, chosen", "vw, best entry", "vw, best by truth")
FEW, MANY = 5_000, 20_000
"""Decisions of a log: hardly enough for its columns, and as many as the simulated worlds hold."""


def one(likes: data.Likes, seed: int, decisions: int) -> tuple[dict[str, float], list[float]]:
    """Like rates on held-out queries, and those of each entry of the grid.

    Theirs is chosen by doubly robust value on tune queries.
    """
    task = data.task(likes, seed=seed, decisions=decisions)
    asked, tune = task.held_out, task.log.part("tune", "gate")
    train = task.log.part("train")
    judge = fit_reward_model(train, seed=seed).q(tune.states, tune.shares)

    def robust(target: data.Array) -> float:
        return dr_terms(tune.log(), target, judge, clip=CLIP).value

    theirs = [likes.value(greedy(each), task.rows) for each in vowpal(task.log, asked)]
    chosen = int(np.argmax([robust(greedy(each)) for each in vowpal(train, tune)]))
    found = {
        "learned": likes.value(ours(task.log, asked, seed), task.rows),
        "logging": likes.value(asked.probabilities, task.rows),
        "uniform": likes.value(asked.mask / asked.mask.sum(axis=1, keepdims=True), task.rows),
        "vw, chosen": theirs[chosen],
        "vw, best by truth": max(theirs),
        "oracle": float(np.nanmax(likes.rate[task.rows], axis=1).mean()),
    }
    return found, theirs


def ours(log: PolicyDataset, asked: PolicyDataset, seed: int) -> data.Array:
    """[N, M] of the greedy policy by the reward model as the job fits it, nothing chosen."""
    rec = fit_reward_model(log, seed=seed).rec(asked.states, asked.mask, asked.shares)
    return greedy(np.where(asked.mask, rec, 0.0))


def leads(likes: data.Likes, decisions: int) -> dict[str, data.Array]:
    """[SEEDS] of what is learned above each rival, told."""
    found, entries = zip(*(one(likes, seed, decisions) for seed in range(SEEDS)), strict=True)
    table = {name: np.array([each[name] for each in found]) for name in found[0]}
    theirs = np.array(entries)
    best = int(theirs.mean(axis=0).argmax())
    table["vw, best entry"] = theirs[:, best]
    say(f"{decisions} decisions: the grid's best entry on average: {GRID[best]}")
    for name, values in table.items():
        say(f"{decisions} decisions: {name}: like rate {interval(values)}")
    lead = {name: table["learned"] - table[name] for name in RIVALS}
    for name, values in lead.items():
        say(f"{decisions} decisions: learned - {name}: {interval(values)}, {SEEDS} seeds")
    return lead


@pytest.mark.parametrize("decisions", [FEW, MANY])
def test_what_is_learned_from_likes_is_above_the_log(decisions):
    lead = leads(data.read_likes(), decisions)
    assert lead["logging"].mean() - spread(lead["logging"]) > 0
    least = lead["vw, chosen"].mean() - spread(lead["vw, chosen"])
    assert least > (0.0 if decisions == MANY else -MARGIN)
