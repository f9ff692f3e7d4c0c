"""Scorers trained by the command on real labelled sets: held out, paired with TF-IDF, in time."""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from tests.statistics.report import say

SHARED = Path(__file__).parents[3] / "shared" / "data"
SETS = [SHARED / name for name in ("goemotions", "epitome", "esconv")]
MOST_MINUTES = 15
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(folder.exists() for folder in SETS), reason="the sets are not beside the checkout"
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What `rapport evaluate affect` prints after `rapport run train_scorers` on the three sets."""
    home = str(tmp_path_factory.mktemp("scorers") / "home")
    named = [word for folder in SETS for word in ("--data", str(folder))]
    started = time.monotonic()
    ran = CliRunner().invoke(app, ["run", "train_scorers", *named, "--home", home, "--json"])
    assert ran.exit_code == 0, ran.output
    minutes = (time.monotonic() - started) / 60
    say(f"train_scorers on the three sets: {minutes:.1f} minutes, of at most {MOST_MINUTES}")
    ran = CliRunner().invoke(app, ["evaluate", "affect", "--home", home, "--json"])
    assert ran.exit_code == 0, ran.output
    return {**json.loads(ran.stdout), "minutes": minutes}


def test_training_takes_no_longer_than_it_may(told):
    assert told["minutes"] < MOST_MINUTES


def test_emotions_reach_the_published_macro_f1(told):
    found = told["metrics"]["macro_f1"]
    say(f"GoEmotions dev, macro F1: {_line(found)}; floor .46, aim .48")
    assert found["estimate"] >= 0.46


def test_empathy_is_not_below_tf_idf_in_any_mechanism_and_above_it_in_one(told):
    gains = {}
    for name in ("emotional_reactions", "interpretations", "explorations"):
        group = told["groups"][name]
        gains[name] = group["macro_f1_minus_tfidf"]
        say(
            f"EPITOME {name}, macro F1: {_line(group['macro_f1'])}, TF-IDF "
            f"{group['macro_f1_tfidf']['estimate']:.3f}, difference {_line(gains[name])}, "
            f"calibration error {group['calibration_error']['estimate']:.3f}"
        )
    assert all(gain["low"] > -0.02 for gain in gains.values())
    assert any(gain["low"] > 0 for gain in gains.values())


def test_the_next_strategy_is_better_foreseen_than_by_tf_idf_and_without_bias(told):
    group = told["groups"]["strategy"]
    for name in ("accuracy", "macro_f1"):
        gain = group[f"{name}_minus_tfidf"]
        say(
            f"ESConv next strategy, {name}: {_line(group[name])}, TF-IDF with the same prior shift "
            f"{group[f'{name}_tfidf']['estimate']:.3f}, difference {_line(gain)}"
        )
        assert gain["estimate"] >= 0
    say(f"  preference bias {_line(group['preference_bias'])}")
    assert group["preference_bias"]["estimate"] <= 0.5
    assert any(group[f"{name}_minus_tfidf"]["low"] > 0 for name in ("accuracy", "macro_f1"))


def _line(found):
    return f"{found['estimate']:.3f} ({found['low']:.3f} to {found['high']:.3f}), n {found['n']:,}"
