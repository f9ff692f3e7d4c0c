"""What the reward is worth on simulated logs, where the true worth of each reply is known."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rapport.affect import RewardSettings, channel_table, compute_rewards, load_scorer
from rapport.simulation import simulate

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def log():
    return simulate(300, 20, seed=8201)


@pytest.fixture(scope="module")
def sentiment(log):
    said = log.turns.filter(role="user", kind="message").select("turn_id", "text")
    return said.with_columns(
        sentiment=pl.Series(load_scorer().sentiment(said["text"].to_list()))
    ).drop("text")


@pytest.fixture(scope="module")
def channels(log, sentiment):
    table = channel_table(log.turns, log.decisions, log.feedback, sentiment)
    truth = log.decision_truth.select("decision_id", truth="reward")
    return table.join(truth, on="decision_id")


def correlation(table, channel):
    told = table.filter(pl.col(channel).is_not_null())
    return np.corrcoef(told[channel], told["truth"])[0, 1], told.height


@pytest.mark.parametrize("channel", ["rating", "task_success", "sentiment", "dwell"])
def test_every_channel_rises_with_the_true_worth_of_the_reply(channels, channel):
    found, count = correlation(channels, channel)
    # Four standard errors of a correlation of 0, on Fisher's scale.
    assert np.arctanh(found) > (4 if channel != "dwell" else 2) / np.sqrt(count - 3)


def test_the_reward_follows_the_true_worth_of_the_reply(log, sentiment):
    found = compute_rewards(log.turns, log.decisions, log.feedback, sentiment, as_of=NOW)
    both = found.join(log.decision_truth.select("decision_id", truth="reward"), on="decision_id")
    assert correlation(both, "value")[0] > 0.45
    assert both.height > 0.8 * log.decisions.height


def test_arms_are_ranked_as_their_true_worth_ranks_them(log, sentiment):
    """What a policy learns from: mean reward by persona and arm against the mean true worth."""
    found = compute_rewards(log.turns, log.decisions, log.feedback, sentiment, as_of=NOW)
    truth = log.decision_truth.filter(~pl.col("control")).select(
        "decision_id", "persona", "agent_id", "arm_index", true="reward"
    )
    cells = (
        found.select("decision_id", "value")
        .join(truth, on="decision_id")
        .group_by("persona", "agent_id", "arm_index")
        .agg(pl.col("value").mean(), pl.col("true").mean(), n=pl.len())
        .filter(pl.col("n") >= 40)
    )
    assert cells.height >= 20
    assert np.corrcoef(cells["value"], cells["true"])[0, 1] > 0.8


def test_the_sentiment_channel_spreads_about_as_ratings_do(channels):
    spread = channels["sentiment"].std() / channels["rating"].std()
    assert 0.5 < spread < 1.5


def test_thirty_thousand_decisions_are_rewarded_in_one_pass_each_once(log, sentiment):
    found = compute_rewards(log.turns, log.decisions, log.feedback, sentiment, as_of=NOW)
    assert found["decision_id"].n_unique() == found.height
    assert found["value"].is_between(-1, 1).all()
    loud = RewardSettings(sentiment_scale=100.0)
    most = compute_rewards(
        log.turns, log.decisions, log.feedback, sentiment, as_of=NOW, settings=loud
    )
    assert most["value"].is_between(-1, 1).all()
