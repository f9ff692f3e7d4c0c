"""How hard the simulated users are to tell apart, pinned at both ends, and what can be earned."""

from functools import cache

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rapport.simulation import SimulatedLog, SimulationConfig, simulate, values
from rapport.simulation.generation import Step, run
from rapport.simulation.minds import Minds
from rapport.simulation.truth import expected_rewards

KEEP_PUNCTUATION = r"\w+|[^\w\s]"
TRAINING = 1000
SEEDS = (0, 1)


@cache
def people(seed: int) -> tuple[Minds, Step]:
    minds, step, _ = run(SimulationConfig(users=1500, turns=20, seed=seed))
    return minds, step


@cache
def small_log(seed: int) -> SimulatedLog:
    return simulate(300, 20, seed=seed)


def right(train: list[str], classes: np.ndarray, test: list[str], truth: np.ndarray) -> float:
    words = TfidfVectorizer(token_pattern=KEEP_PUNCTUATION)
    model = LogisticRegression(max_iter=500).fit(words.fit_transform(train), classes)
    return float((model.predict(words.transform(test)) == truth).mean())


def single_turns(texts: np.ndarray) -> list[str]:
    return [str(text) for text in texts.T.reshape(-1)]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_turn_names_the_persona_in_42_to_50_of_100_cases(seed):
    minds, step = people(seed)
    train, test = single_turns(step.text[:, :TRAINING]), single_turns(step.text[:, TRAINING:])
    persona = np.repeat(minds.persona, 20)
    share = right(train, persona[: len(train)], test, persona[len(train) :])
    assert 0.42 <= share <= 0.50


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_turns_name_the_persona_in_82_to_97_of_100_cases(seed):
    minds, step = people(seed)
    texts = [" ".join(turns) for turns in step.text.T]
    persona = minds.persona
    share = right(texts[:TRAINING], persona[:TRAINING], texts[TRAINING:], persona[TRAINING:])
    assert 0.82 <= share <= 0.97


def test_the_topic_shows_in_a_turn_and_is_independent_of_the_persona():
    minds, step = people(0)
    train, test = single_turns(step.text[:, :200]), single_turns(step.text[:, TRAINING:])
    topic = step.topic.T
    assert right(train, topic[:200].reshape(-1), test, topic[TRAINING:].reshape(-1)) > 0.8
    table = np.histogram2d(minds.persona, minds.topic, bins=(4, 8))[0]
    even = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    # Chi-square with 21 degrees of freedom exceeds 51 once in 3,800 worlds.
    assert ((table - even) ** 2 / even).sum() < 51


@pytest.mark.parametrize("seed", range(5))
def test_a_policy_can_gain_much_over_the_logging_one_in_every_world(seed):
    found = values(small_log(seed).decision_truth)
    assert 0.0 < found.uniform < 0.1
    assert found.control < found.uniform
    assert found.logging < 0.1
    assert found.oracle > 0.3


@pytest.mark.parametrize("seed", range(3))
def test_weighting_by_the_logged_propensity_recovers_the_value_of_the_uniform_policy(seed):
    log = small_log(seed)
    truth = log.decision_truth
    served = ~truth["control"].to_numpy()
    size = truth["arms"].list.len().to_numpy()[served]
    weight = 1.0 / (size * log.decisions["propensity"].to_numpy()[served])
    worth = np.nanmean(expected_rewards(truth), axis=1)[served]
    difference = weight * truth["reward"].to_numpy()[served] - worth
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))


def test_ratings_and_the_moods_words_show_reflect_what_replies_were_worth():
    _, step = people(0)
    rated = np.isfinite(step.rating)
    assert np.corrcoef(step.rating[rated], step.felt[rated])[0, 1] > 0.5
    goes_on = step.exchange[1:] > 0
    change = (step.seen_mood[1:] - step.seen_mood[:-1])[goes_on]
    assert np.corrcoef(change, step.felt[:-1][goes_on])[0, 1] > 0.15
