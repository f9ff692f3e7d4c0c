"""How well hidden personas are found again in a simulated log, in one dictionary of numbers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from rapport.personas.emotion import with_emotions
from rapport.personas.fit import fit
from rapport.personas.model import PersonaModel
from rapport.personas.scatter import group_means
from rapport.personas.segmentation import Scorer
from rapport.simulation import SimulatedLog
from rapport.users.encoder import UserEncoder, UserParts
from rapport.users.timelines import timeline

KNOWN = (0, 5, 20)
"""Turns known of a new user before the message that is to be routed."""


@dataclass(frozen=True)
class _People:
    """User messages in order of user and time, and the user vectors as they were after each."""

    vectors: NDArray[np.float32]
    user: NDArray[np.int64]
    rank: NDArray[np.int64]
    conversation: NDArray[np.int64]
    text: pl.Series
    states: NDArray[np.float32]
    encoder: UserEncoder
    persona: NDArray[np.int64]
    topic: NDArray[np.object_]

    def parts(self, rows: NDArray[np.bool_]) -> UserParts:
        return self.encoder.parts(self.states[rows])


def user_messages(log: SimulatedLog) -> pl.DataFrame:
    """User messages of a log by user and time: the rows that the vectors belong to."""
    told = log.turns.filter(pl.col("role") == "user", pl.col("kind") == "message")
    return told.select("user_id", "turn_id", "conversation_id", "ts", "text").sort("user_id", "ts")


def persona_recovery(
    log: SimulatedLog,
    vectors: NDArray[np.float32],
    *,
    seed: int,
    fit_users: int = 1500,
    fit_turns: int = 20,
    scorer: Scorer | None = None,
) -> Mapping[str, float]:
    """Fit personas on the first users' first turns, and name the other users as they write.

    Args:
        log: Simulated, with more users than are fitted; one turn more than the largest of
            `KNOWN` to judge that one.
        vectors: [N, D] of `user_messages(log)`.
        seed: Of the fit.
        fit_users: Users that take part in the fit.
        fit_turns: Turns of each that do.
        scorer: Emotions of messages, see `rapport.personas.segmentation`.
    """
    people = _people(log, vectors)
    taught = (people.user < fit_users) & (people.rank < fit_turns)
    last = taught & (people.rank == fit_turns - 1)
    known = people.parts(last)
    started = time.monotonic()
    model = fit(
        people.vectors[taught],
        people.user[taught],
        seed=seed,
        conversations=people.conversation[taught],
        features=known.features,
    )
    seconds = time.monotonic() - started
    by_words = model.posterior(known.mean, known.n).argmax(axis=1)
    by_both = model.posterior(known.mean, known.n, known.features).argmax(axis=1)
    if scorer is not None:
        texts, shown = people.text.filter(pl.Series(taught)).to_list(), people.vectors[taught]
        emotions = np.asarray(scorer(texts, shown), np.float32)
        model = with_emotions(model, shown, by_both[people.user[taught]], emotions)
    persona, topic = people.persona[:fit_users], people.topic[:fit_users]
    return {
        "k": len(model.names),
        "ari": adjusted_rand_score(persona, by_both),
        "ari_without_events": adjusted_rand_score(persona, by_words),
        "ari_topic": adjusted_rand_score(topic, by_both),
        **_raw(people, taught, len(model.names), fit_users),
        "topic_directions": model.found["topic_directions"],
        "dimensions": len(model.found["ratios"]),
        "temperature": model.temperature,
        "fit_seconds": seconds,
        **_named(people, model, by_both, fit_users=fit_users, scorer=scorer),
    }


def _raw(people: _People, taught: NDArray[np.bool_], k: int, fit_users: int) -> dict[str, float]:
    """The usual way beside: k-means of mean-pooled turn vectors."""
    pooled = group_means(people.vectors[taught], people.user[taught])[0]
    raw = KMeans(max(k, 2), n_init=5, random_state=0).fit_predict(pooled)
    return {
        "raw_ari": adjusted_rand_score(people.persona[:fit_users], raw),
        "raw_ari_topic": adjusted_rand_score(people.topic[:fit_users], raw),
    }


def _named(
    people: _People,
    model: PersonaModel,
    assigned: NDArray[np.int64],
    *,
    fit_users: int,
    scorer: Scorer | None,
) -> dict[str, float]:
    """Share of new users whose persona is named after few turns, and what guessing would get."""
    kinds = int(people.persona.max()) + 1
    table = np.zeros((kinds, len(model.names)))
    np.add.at(table, (people.persona[:fit_users], assigned), 1.0)
    row, column = linear_sum_assignment(-table)
    wanted = np.full(kinds, -1)
    wanted[row] = column
    new = people.user >= fit_users
    truth = wanted[people.persona[fit_users:]]
    shares = np.bincount(people.persona[fit_users:]) / (len(people.persona) - fit_users)
    found = {"new_users": float(len(truth)), "majority_share": float(shares.max())}
    for known in KNOWN:
        rows = new & (people.rank == known)
        if not rows.any():
            continue
        emotion = None
        if scorer is not None:
            emotion = scorer(people.text.filter(pl.Series(rows)).to_list(), people.vectors[rows])
        parts = people.parts(rows)
        posterior = model.posterior(parts.mean, parts.n, parts.features, emotion)
        found[f"accuracy_{known}"] = float((posterior.argmax(axis=1) == truth).mean())
        right = posterior[np.arange(len(truth)), truth]
        found[f"log_loss_{known}"] = float(-np.log(right).mean())
    return found


def _people(log: SimulatedLog, vectors: NDArray[np.float32]) -> _People:
    told = user_messages(log)
    events = timeline(log.turns.lazy(), log.feedback.lazy()).collect()
    placed = events.select("turn_id").join(
        told.select("turn_id").with_row_index("row"),
        on="turn_id",
        how="left",
        maintain_order="left",
    )["row"]
    rows = placed.cast(pl.Int64).fill_null(-1).to_numpy()
    encoder = UserEncoder.fit(events, encoder_id="encoder", dim=vectors.shape[1])
    states = encoder.encode_through(events, rows, vectors)
    truth = log.truth.sort("user_id")
    user = np.unique(told["user_id"].to_numpy(), return_inverse=True)[1]
    rank = told.select(pl.int_range(pl.len()).over("user_id")).to_series().to_numpy()
    return _People(
        vectors=vectors,
        user=user,
        rank=rank,
        conversation=np.unique(told["conversation_id"].to_numpy(), return_inverse=True)[1],
        text=told["text"],
        states=states[np.flatnonzero(rows >= 0)[np.argsort(rows[rows >= 0])]],
        encoder=encoder,
        persona=truth["persona"].to_numpy(),
        topic=truth["topic"].to_numpy(),
    )
