"""What a demo left, measured: its replies, its personas, and what its prompts and adapters know."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.statistics.report import say

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
