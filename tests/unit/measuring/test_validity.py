import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

from rapport.affect.evidence import MEASURED
from rapport.affect.reward import REWARD, compute_rewards
from rapport.affect.scorers import load_scorer
from rapport.cli.app import app
from rapport.measuring.ranks import auc, spearman
from rapport.measuring.validity import message_length, shipped_reward
from rapport.testing import tiny_encoder
from rapport.text import TextEncoder
from tests.statistics.report import say
from tests.unit.affect.logs import NOW, conversation, frame

ESCONV = Path(__file__).parents[4] / "shared" / "data" / "esconv"


def test_a_correlation_is_that_of_ranks():
    generator = np.random.default_rng(0)
    value, outcome = generator.normal(size=60), generator.integers(5, size=60).astype(float)
    assert spearman(value, outcome) == pytest.approx(spearmanr(value, outcome).statistic)
    assert np.isnan(spearman(value, np.ones(60)))


def test_success_above_failure_by_hand():
    # Of the four pairs (good, failed) two are ordered right, one is tied, one is wrong.
    assert auc(np.array([3.0, 1.0, 1.0, 2.0]), np.array([0, 0, 1, 1])) == pytest.approx(2.5 / 4)
    assert np.isnan(auc(np.array([1.0, 2.0]), np.array([0, 0])))


def test_the_measured_reward_is_the_one_that_is_learned_from(tmp_path):
    said = ("I feel hopeless and sad", "That helps a little", "I am happy now", "Thanks, bye!")
    turns, decisions = conversation(*(text for one in said for text in (one, "I see.")))
    turns = frame("turns", turns)
    encoder = TextEncoder(tiny_encoder(tmp_path / "encoder"))
    scorer = load_scorer(encoder_id=encoder.encoder_id)
    measured = shipped_reward(scorer, encoder)(turns)
    messages = turns.filter(role="user")
    sentiment = messages.select(
        "turn_id", sentiment=pl.Series(scorer.sentiment(messages["text"].to_list()))
    )
    nothing = frame("feedback", [])
    rows = compute_rewards(turns, frame("decisions", decisions), nothing, sentiment, as_of=NOW)
    assert rows.height == 2  # the reply before the farewell stays without a reward
    assert measured["value"].to_list() == [pytest.approx(rows["value"].mean())]


def test_the_length_of_messages_is_told_beside_since_it_knows_failures_too():
    turns, _ = conversation("one two", "A long reply that nobody counts.", "one two three four")
    assert message_length()(frame("turns", turns))["value"].to_list() == [3.0]


@pytest.mark.slow
@pytest.mark.skipif(not ESCONV.exists(), reason="ESConv is not beside the checkout")
def test_validity_on_esconv_as_the_readme_states_it():
    done = CliRunner().invoke(app, ["evaluate", "reward", "--data", str(ESCONV), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["n"], found["data"]["skipped"]) == (1198, 0)
    for name, group in found["groups"].items():
        for metric, value in group.items():
            ends = f"({value['low']:.3f} to {value['high']:.3f}), n {value['n']}"
            say(f"reward validity, {name}: {metric} {value['estimate']:.3f} {ends}")
    ours, stars = found["groups"]["rapport"], found["groups"]["stars"]
    # What papers found for the same signals: .076, and .631 once thanks are taken out.
    assert ours["rho_relief"]["low"] > 0
    assert ours["rho_relief"]["estimate"] > 0.076
    assert ours["auc_success_without_thanks"]["estimate"] > 0.631
    # The seekers' own stars are the ceiling, and published beforehand: .27, .50, .45.
    assert stars["rho_relief_retained"]["low"] > 0
    # With the curve's settings chosen on other dialogues it still follows relief.
    assert ours["rho_relief_cross_fitted"]["low"] > 0
    weights = REWARD.weights["sentiment"], REWARD.weights["rating"]
    assert (ours["weight"]["estimate"], stars["weight"]["estimate"]) == weights
    for group, stated in ((ours, MEASURED["sentiment"]), (stars, MEASURED["rating"])):
        for metric, found in (("rho_relief", stated), ("rho_relief_retained", stated.retained)):
            assert found is not None
            measured = [group[metric][name] for name in ("estimate", "low", "high", "n")]
            told = [found.rho, found.low, found.high, found.n]
            assert measured == pytest.approx(told, abs=0.002)
