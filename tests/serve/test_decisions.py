"""What is promised of every decision, in all modes: whole, exact, floored, replayable, as drawn."""

import math
import random
from collections import defaultdict
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom, chi2

from rapport.errors import UnavailableError
from rapport.governance.disclosure import disclosure
from rapport.policy.behaviour import DISTRESS, draw
from rapport.policy.control import CONTROL_SHARE
from serve import reranker
from tests.statistics.report import say

SAID = [
    "I feel low about work, what should I do?",
    "My sister will not talk to me any more.",
    "I passed the exam and I do not know what to do next.",
    "Nothing works and I am so tired of it all.",
    "He left on Sunday, after six years.",
    "Can you help me to sleep better?",
    "I had a good day for once!",
    "I am nervous about the talk tomorrow.",
]
ACTIONS = [
    {"id": "ask", "text": "What has been the hardest part of it?"},
    {"id": "tip", "text": "You could write down one thing to finish today."},
    {"id": "bare"},
    {"id": "told", "features": {"question": 1.0, "price": 2.0}},
    {"id": "out", "text": "A lot of people feel this way."},
]
MINE = ["Could you say a bit more about that?", "Many people feel this way after a change."]
ARMED = ("arm_first", "rerank", "rank")


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    """The same seeds in each run, so that a statistic that holds once holds always."""
    monkeypatch.setattr(reranker, "secrets", SimpleNamespace(randbits=random.Random(7).getrandbits))


def kinds(graph):
    """Every way to come to a decision, by name: calls of a number, each gives a decision's row."""

    def rank(**fields):
        return lambda n: graph.store.decision(
            graph.rank(SAID[n % 8], user=f"u{n}", **fields)["decision_id"]
        )

    def chat(way):
        return lambda n: graph.say(SAID[n % 8], stream=n % 3 == 0, user={"id": f"u{n}"}, **way)[1]

    return {
        **{name: chat(way) for name, way in graph.ways().items()},
        "candidates": chat({"rapport::candidates": MINE}),
        "rank": rank(actions=ACTIONS, excluded=["out"]),
        "decide only": rank(),
    }


def decided(graph, n):
    """n decisions of each kind, by kind."""
    rows = {name: [ask(i) for i in range(n)] for name, ask in kinds(graph).items()}
    assert sum(map(len, rows.values())) == n * len(rows)
    return rows


def check(row, epsilon):
    """One decision: whole, exact, above the floor, and drawn from what was logged."""
    shares = np.array([c["probability"] for c in row["candidates"]])
    free = np.array([c["guard"] is None for c in row["candidates"]])
    assert abs(math.fsum(shares) - 1) <= 1e-9
    assert row["propensity"] == shares[row["action_index"]]
    assert row["propensity_source"] == "logged"
    assert not shares[~free].any()
    if row["rng_seed"] is not None:
        assert draw(shares, row["rng_seed"]) == row["action_index"]
    elif len(shares) > 1:
        pytest.fail("a draw without its seed")
    if len(shares) > 1 and dict(row["features"])["sentiment"] > DISTRESS:
        # A floor of 0 says nothing, so the policy of these tests has one.
        assert shares[free].min() >= epsilon / free.sum() * (1 - 1e-12)
    assert row["explored"] == (
        row["mode"] in ARMED and bool(shares[row["action_index"]] < shares.max())
    )


def chi_square(rows):
    """p-value that each option was drawn as often as its probabilities say, over all rows.

    Counts minus expectations of k options have the covariance sum(diag(p) - p p'), so their
    quadratic form in its pseudo-inverse is chi-square with its rank as degrees of freedom.
    """
    width = max(len(row["candidates"]) for row in rows)
    excess, covariance = np.zeros(width), np.zeros((width, width))
    for row in rows:
        shares = np.zeros(width)
        shares[: len(row["candidates"])] = [c["probability"] for c in row["candidates"]]
        excess -= shares
        excess[row["action_index"]] += 1
        covariance += np.diag(shares) - np.outer(shares, shares)
    rank = np.linalg.matrix_rank(covariance, tol=1e-6, hermitian=True)
    form = excess @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ excess
    return float(chi2.sf(form, rank)) if rank else 1.0


def prove(graph, n):
    epsilon = graph.light.exchanges.bundles.now.policy.behaviour.epsilon
    assert epsilon > 0
    rows = decided(graph, n)
    for kind in rows.values():
        for row in kind:
            check(row, epsilon)
    drawn = defaultdict(list)
    for name, kind in rows.items():
        for row in kind:
            if len(row["candidates"]) > 1:
                drawn[name, row["mode"], len(row["candidates"])].append(row)
    values = {key: chi_square(some) for key, some in drawn.items()}
    everyone = [row for name in ("as it comes", "rank", "decide only") for row in rows[name]]
    return rows, values, everyone


def report(rows, values, everyone):
    total = sum(map(len, rows.values()))
    say(f"{total} decisions of {len(rows)} kinds: whole, exact, floored, replayed")
    for (name, mode, k), value in values.items():
        say(f"  {name}, {mode}, {k} candidates: chi-square p = {value:.3f}")
    # The same users ask in each kind, so the share is one of users.
    users = {row["user_id"]: row["mode"] == "control" for row in everyone}
    control = sum(users.values())
    low, high = binom.interval(0.999, len(users), CONTROL_SHARE)
    say(f"  control: {control} of {len(users)} users, expected {low:.0f} to {high:.0f}")
    assert low <= control <= high
    # Bonferroni: seeded, so this holds in every run or in none.
    assert min(values.values()) > 0.001 / len(values)


def test_every_decision_is_whole_exact_floored_and_replays(fast):
    report(*prove(fast, 15))


@pytest.mark.slow
def test_ten_thousand_decisions_over_all_modes(fast):
    report(*prove(fast, 910))


async def _dead(request, folder=None):
    raise UnavailableError("gone")
    yield


def test_delivered_says_what_left(fast, monkeypatch):
    """One planted case of each kind; tool calls and structured output are the upstream's tests."""
    ways = fast.ways()
    assert fast.say(stream=False, **ways["observe"])[1]["delivered"] == "observed"
    assert fast.say(stream=False, **ways["control"])[1]["delivered"] == "control"
    assert fast.say(stream=False, **ways["pinned"])[1]["delivered"] == "pinned"
    assert fast.say(stream=False, **ways["adapter"])[1]["delivered"] == "pinned"
    assert fast.say(stream=False, **ways["arm_first"])[1]["delivered"] == "full"
    assert fast.say(stream=False, **ways["rerank"])[1]["delivered"] == "full"
    assert fast.say("I want to die", stream=False)[1]["delivered"] == "guard_replaced"
    for stream in (False, True):
        monkeypatch.setattr(fast.writer, "reply", "You are worthless.")
        assert fast.say(stream=stream, **ways["base"])[1]["delivered"] == "guard_replaced"
        monkeypatch.undo()
        monkeypatch.setattr(fast.writer, "stream", _dead)
        _, row = fast.say(stream=stream, **ways["base"])
        assert (row["delivered"], row["degraded"]) == ("fallback", "engine")
        monkeypatch.undo()


def test_who_asks_whether_a_person_answers_is_told_that_none_does(fast, monkeypatch):
    """Whatever was drawn, whoever writes it, streamed or not; a reply that says so stands."""
    monkeypatch.setattr(fast.writer, "reply", "I hear how heavy this is.")
    ways = [fast.ways()[name] for name in ("control", "pinned", "base", "arm_first", "rerank")]
    for way, stream in product(ways, (False, True)):
        said, row = fast.say("Are you a human being?", stream=stream, **way)
        assert said.endswith(disclosure())
        assert row["delivered"] == "guard_replaced"
    monkeypatch.setattr(fast.writer, "reply", "I am an AI, no person.")
    said, row = fast.say("Are you a human being?", stream=False, **fast.ways()["base"])
    assert (said, row["delivered"]) == ("I am an AI, no person.", "observed")
