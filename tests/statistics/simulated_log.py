"""A simulated log read as a policy dataset with the cheapest honest means: words, ratings, replies.

No language model and no hidden state: personas are named by a classifier of words, as unsure as
the router is, and rewards are what ratings, task outcomes and the next message's mood show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rapport.policy.dataset import PolicyDataset, Readings, build_dataset
from rapport.policy.features import EMOTION_GROUPS, Layout
from rapport.simulation.logs import SimulatedLog, generate
from rapport.simulation.settings import SimulationConfig
from rapport.simulation.truth import expected_over
from rapport.users.split import part_of

Naming = Callable[[pl.DataFrame], np.ndarray]
"""[N, K] log-probability of each persona by each of N messages alone."""
KEEP_PUNCTUATION = r"\w+|[^\w\s]"


@dataclass(frozen=True)
class World:
    """A dataset, and what only the simulator knows about its rows."""

    data: PolicyDataset
    expected: np.ndarray
    """[N, A] true expected reward over the arm vocabulary, nan where not served."""
    control: float
    """True value of the plain reply on the same rows."""
    rows: np.ndarray
    """[N] part of each row's user: train, tune or gate."""

    def true_value(self, target: np.ndarray, rows: np.ndarray) -> float:
        return float((np.nan_to_num(self.expected[rows]) * target).sum(axis=1).mean())


@cache
def world(seed: int, *, users: int = 1500, turns: int = 20) -> World:
    return world_of(SimulationConfig(users=users, turns=turns, seed=seed))[0]


def world_of(config: SimulationConfig, naming: Naming | None = None) -> tuple[World, pl.DataFrame]:
    """The world of full settings, and the truth of its decisions, row by row.

    Args:
        config: Of the log.
        naming: How personas are named; absent, by what its own train users wrote.
    """
    log = generate(config)
    messages = user_messages(log)
    readings = read(messages, log.config.personas, naming or own_naming)
    layout = Layout.of([f"p{k}" for k in range(log.config.personas)])
    truth = log.decision_truth
    data = build_dataset(layout, log.decisions, rewards(log), readings=readings)
    found = World(
        data=data,
        expected=expected_over(truth, layout.arms),
        control=float(truth["control_reward"].to_numpy().mean()),
        rows=np.array([part_of(user) for user in data.user]),
    )
    return found, truth


def user_messages(log: SimulatedLog) -> pl.DataFrame:
    """One row a decision, in its order: the user's message before it, with its shown mood."""
    said = log.turns.filter(pl.col("role") == "user", pl.col("kind") == "message").join(
        log.turn_truth.select("turn_id", "seen_mood", "persona"), on="turn_id"
    )
    asked = said.select(
        "user_id",
        "text",
        "seen_mood",
        "persona",
        episode_id="conversation_id",
        turn_index=pl.col("turn_index") + 1,
    )
    return log.decisions.select("decision_id", "user_id", "episode_id", "turn_index", "ts").join(
        asked, on=["user_id", "episode_id", "turn_index"], how="left", maintain_order="left"
    )


def own_naming(messages: pl.DataFrame) -> np.ndarray:
    """By a classifier of the words that the log's own train users wrote."""
    train = [part_of(user) == "train" for user in messages["user_id"]]
    return naming_by(messages.filter(pl.Series(train)), words=_words(messages)[0])(messages)


def naming_by(teachers: pl.DataFrame, words: TfidfVectorizer | None = None) -> Naming:
    """By a classifier of the words in some messages whose personas are known."""
    words = words or _words(teachers)[0]
    table = words.transform(teachers["text"].to_list())
    namer = LogisticRegression(C=1.0, max_iter=200).fit(table, teachers["persona"].to_numpy())

    def naming(messages: pl.DataFrame) -> np.ndarray:
        return np.asarray(namer.predict_log_proba(words.transform(messages["text"].to_list())))

    return naming


def _words(messages: pl.DataFrame) -> tuple[TfidfVectorizer, Any]:
    words = TfidfVectorizer(token_pattern=KEEP_PUNCTUATION, ngram_range=(1, 2), min_df=5)
    return words, words.fit_transform(messages["text"].to_list())


def read(messages: pl.DataFrame, personas: int, naming: Naming) -> Readings:
    evidence = pl.DataFrame(naming(messages), schema=[f"p{k}" for k in range(personas)])
    # Turns before the reply only: a running sum within the user, in time order.
    summed = (
        pl.concat([messages.with_row_index("row"), evidence], how="horizontal")
        .sort("user_id", "ts")
        .with_columns(
            *(pl.col(f"p{k}").cum_sum().over("user_id") for k in range(personas)),
            n=pl.int_range(1, pl.len() + 1).over("user_id"),
        )
        .sort("row")
    )
    total = summed.select(f"p{k}" for k in range(personas)).to_numpy()
    raised = np.exp(total - total.max(axis=1, keepdims=True))
    mood = messages["seen_mood"].to_numpy().astype(float)
    reduced = TruncatedSVD(32, random_state=0).fit_transform(_words(messages)[1])
    return Readings(
        posterior=raised / raised.sum(axis=1, keepdims=True),
        n_eff=summed["n"].to_numpy().astype(float),
        sentiment=0.6 * mood,
        curve=0.3 * mood,
        emotion=np.zeros((len(mood), len(EMOTION_GROUPS))),
        message=reduced.astype(np.float32),
    )


def rewards(log: SimulatedLog) -> pl.DataFrame:
    """Mean of the channels that reported: rating, task outcome, half the change of shown mood."""
    messages = user_messages(log)
    gain = messages.with_columns(
        value=(
            pl.col("seen_mood").shift(-1).over("episode_id", order_by="turn_index")
            - pl.col("seen_mood")
        )
        / 2.0
    ).select("decision_id", "value")
    scale = {"rating": (3.0, 2.0), "task_success": (0.5, 0.5)}
    told = [
        log.feedback.filter(pl.col("metric_name") == metric).select(
            "decision_id", value=(pl.col("value") - centre) / half
        )
        for metric, (centre, half) in scale.items()
    ]
    every = pl.concat([gain.drop_nulls().cast({"value": pl.Float64}), *told])
    return every.group_by("decision_id", maintain_order=True).agg(pl.col("value").mean())
