"""What the shipped scorer is worth, on simulated logs and comments it was not trained on."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rapport.affect import load_scorer
from rapport.affect.build import measure, read_goemotions
from rapport.affect.strategy import StrategyScorer
from rapport.affect.training import f1_scores, polarity
from rapport.simulation import simulate
from rapport.text import load_encoder

GOEMOTIONS = Path(__file__).parents[2] / "../shared/data/goemotions"
FRESH_SEEDS = (8101, 8102, 8103)


@pytest.fixture(scope="module")
def scorer():
    return load_scorer()


def messages(seed, *, users=100):
    log = simulate(users, 20, seed=seed)
    said = log.turns.filter(role="user", kind="message").select("turn_id", "text")
    return said.join(log.turn_truth.select("turn_id", "mood"), on="turn_id")


def below(correlation, count):
    """A correlation four standard errors lower (Fisher's z), for messages drawn once."""
    return np.tanh(np.arctanh(correlation) - 4 / np.sqrt(count - 3))


@pytest.mark.parametrize("seed", FRESH_SEEDS)
def test_sentiment_follows_the_true_mood_of_users_never_seen(scorer, seed):
    said = messages(seed)
    found = np.corrcoef(scorer.sentiment(said["text"].to_list()), said["mood"])[0, 1]
    assert found >= 0.7
    assert found >= below(0.75, said.height)


def test_vectors_do_not_lose_what_words_know_of_moods(scorer):
    said, encoder = messages(8104, users=30), load_encoder()
    assert scorer.encoder_id == encoder.encoder_id
    texts = said["text"].to_list()
    found = np.corrcoef(scorer.sentiment(texts, encoder.encode(texts)), said["mood"])[0, 1]
    assert found >= 0.7


def test_emotions_and_polarity_hold_on_comments_that_nothing_was_tuned_on(scorer):
    if not (GOEMOTIONS / "dev.tsv").exists():
        pytest.skip("GoEmotions is not at ../shared/data/goemotions")
    texts, labels = read_goemotions(GOEMOTIONS, "dev")
    there = scorer.emotion(texts) >= scorer.thresholds[0]
    macro, micro = f1_scores(there, labels)
    assert macro >= 0.44
    assert micro >= 0.53
    sentiment = scorer.sentiment(texts)
    assert np.corrcoef(sentiment, polarity(labels))[0, 1] >= 0.67


def test_probabilities_and_sentiment_are_calibrated_on_comments(scorer):
    if not (GOEMOTIONS / "dev.tsv").exists():
        pytest.skip("GoEmotions is not at ../shared/data/goemotions")
    texts, labels = read_goemotions(GOEMOTIONS, "dev")
    probability, sentiment = scorer.emotion(texts), scorer.sentiment(texts)
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (probability >= low) & (probability < low + 0.2)
        # Where many comments lie, shares stray from what was said by less than a tenth.
        assert abs(labels[inside].mean() - probability[inside].mean()) < 0.1
    slope = np.polyfit(sentiment, polarity(labels), 1)[0]
    assert 0.85 < slope < 1.2


@pytest.mark.slow
def test_with_vectors_emotions_are_read_as_well_as_by_a_fine_tuned_model(scorer):
    """BERT-base reaches .46 macro-F1 there (Demszky et al., 2020)."""
    if not (GOEMOTIONS / "dev.tsv").exists():
        pytest.skip("GoEmotions is not at ../shared/data/goemotions")
    texts, labels = read_goemotions(GOEMOTIONS, "dev")
    found = measure(scorer, texts, labels, vectors=load_encoder().encode(texts))
    print(found)
    assert found["macro_f1_vectors"] >= 0.46


def test_the_arm_of_a_simulated_reply_is_recovered_on_other_users():
    log = simulate(150, 20, seed=8105)
    said = log.turns.filter(pl.col("arm").is_not_null()).select("user_id", "text", "arm")
    users = said["user_id"].unique().sort()
    learned = said.filter(pl.col("user_id").is_in(users[:75].to_list()))
    held = said.filter(pl.col("user_id").is_in(users[75:].to_list()))
    scorer = StrategyScorer.fit(learned["text"].to_list(), learned["arm"].to_list(), seed=1)
    taken = scorer.predict(held["text"].to_list()).argmax(axis=1)
    arms = np.array(scorer.arms)[taken]
    assert (arms == held["arm"].to_numpy()).mean() >= 0.95
