"""What a demo left, measured: its replies, its personas, and what its prompts and adapters know."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rapport.home import Home
from rapport.lake import lake_of
from rapport.pipeline.policies import load_dataset
from rapport.pipeline.settings import TrainPolicyConfig
from rapport.policy.policy import Policy
from rapport.release import current
from rapport.simulation.truth import expected_over
from tests.statistics.report import say
from tests.statistics.shares import greedy

LEAST = 60
MOST = 0.02
_SHARES = ("loops", "empty", "repeats", "library", "guard_replaced")


def rapport(*words, home):
    command = [sys.executable, "-m", "rapport.cli", *words, "--home", str(home), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """RAPPORT_DEMO_HOME, a home that a demo left, else one that a demo makes now."""
    kept = os.environ.get("RAPPORT_DEMO_HOME")
    if kept:
        return Path(kept)
    made = tmp_path_factory.mktemp("demo") / "home"
    rapport("demo", home=made)
    return made


@pytest.mark.slow
def test_replies_fit_their_own_context_and_neither_loop_nor_stay_empty(home):
    found = rapport("evaluate", "replies", home=home)
    for group, metrics in {"all": found["metrics"], **found["groups"]}.items():
        own, other, gain = (metrics[name] for name in ("fit_own", "fit_shuffled", "fit_gain"))
        ends = "" if gain["low"] is None else f" (95 %: {gain['low']:.3f} to {gain['high']:.3f})"
        told = ", ".join(f"{name} {metrics[name]['estimate']:.1%}" for name in _SHARES)
        say(
            f"replies, {group}, n {metrics['loops']['n']}: own {own['estimate']:.3f}, shuffled "
            f"{other['estimate']:.3f}, gain {gain['estimate']:.3f}{ends}; {told}"
        )
    assert found["n"] >= LEAST
    assert found["metrics"]["fit_gain"]["low"] > 0
    assert found["metrics"]["loops"]["estimate"] + found["metrics"]["empty"]["estimate"] <= MOST


def spread(found):
    return f"{found['estimate']:.3f} (95 %: {found['low']:.3f} to {found['high']:.3f})"


@pytest.fixture(scope="module")
def log(home):
    """The simulated log that the demo learned from, with its truth."""
    return next(home.glob("work/log-*"))


@pytest.mark.slow
def test_personas_of_the_release_are_the_hidden_kinds_and_no_topics(home, log):
    found = rapport("evaluate", "personas", "--data", str(log), home=home)
    for name, measure in found["metrics"].items():
        say(f"personas, n {found['n']}: {name} {spread(measure)}")
    right, topics = (
        found["metrics"][name] for name in ("adjusted_rand_index", "topic_adjusted_rand_index")
    )
    assert right["low"] > 0.5
    assert topics["high"] < 0.1


@pytest.mark.slow
def test_adapters_know_replies_to_users_who_taught_them_nothing(home, log):
    found = rapport("evaluate", "lm", "--data", str(log), "--limit", "100", home=home)
    for name, measure in found["metrics"].items():
        say(f"language model, n {found['n']}: {name} {spread(measure)}")
    for way in ("adapter", "both", "global_adapter"):
        assert found["metrics"][f"gain_{way}"]["low"] > 0


@pytest.mark.slow
def test_the_released_policy_earns_most_of_what_the_oracle_would(home, log):
    own = Home(home)
    everything = load_dataset(lake_of(TrainPolicyConfig(home=home)), own, tenant="default")
    truth = pl.read_parquet(log / "truth" / "decisions.parquet")
    place = {name: i for i, name in enumerate(truth["decision_id"].to_list())}
    data = everything.part("gate")
    data = data.rows(np.array([name in place for name in data.decision_id]))
    expected = expected_over(truth, data.layout.arms)[[place[name] for name in data.decision_id]]
    folder = current(own.releases)
    assert folder is not None
    policy = Policy.load(folder / "policy")

    def worth(probability):
        return (np.nan_to_num(expected) * probability).sum(axis=1).mean()

    logging = worth(data.probabilities)
    gain = np.where(data.mask, expected, -np.inf).max(axis=1).mean() - logging
    share = {
        name: (worth(each.decide(data.situation, mask=data.mask).probability) - logging) / gain
        for name, each in {"with exploration": policy, "greedy": greedy(policy)}.items()
    }
    for name, part in share.items():
        say(f"released policy, {name}: {part:.3f} of the oracle's gain, {len(data)} decisions")
    assert share["greedy"] > 0.6
