"""What was known before each decision: the training side of `serve/reading.py` and `minds.py`."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect import EMOTIONS, AffectScorer, curve
from rapport.lake import Lake
from rapport.personas import PersonaModel
from rapport.policy.dataset import Readings
from rapport.policy.features import group_emotions
from rapport.users import timelines
from rapport.users.embed import aligned, turn_vectors
from rapport.users.encoder import UserEncoder

DISTRESS = -0.8
"""Sentiment at or below which nothing may be left to chance; serving uses the same."""


@dataclass(frozen=True)
class Read:
    """Decisions whose context could be read, and what was read of each, in the same order."""

    decisions: pl.DataFrame
    readings: Readings
    texts: pl.Series
    """The user's messages; never leave the process."""


def read_decisions(
    lake: Lake,
    decisions: pl.DataFrame,
    *,
    personas: PersonaModel,
    users: UserEncoder,
    scorer: AffectScorer,
) -> Read:
    """Read the context of decisions: message, persona, emotion and curve, nothing later.

    A decision's message is the last one of its conversation before the reply. Decisions without
    one (a crisis, no agreement to infer affect) are left out.
    """
    events = timelines.events(lake, purpose="infer_affect")
    rows, vectors = aligned(events, turn_vectors(lake, encoder_id=users.encoder_id))
    contexts = _contexts(lake, decisions, events, rows)
    message = vectors[rows[contexts["event"].to_numpy()]]
    parts = users.parts(users.encode_through(events, rows, vectors)[contexts["event"].to_numpy()])
    emotion = scorer.emotion(contexts["text"].to_list(), message)
    sentiment = scorer.sentiment(contexts["text"].to_list(), message)
    posterior = personas.posterior(parts.mean, parts.n, parts.features, emotion)
    kept = decisions.join(contexts.select("decision_id"), on="decision_id", how="semi")
    order = kept.select("decision_id").join(
        contexts.with_row_index("row"), on="decision_id", how="left", maintain_order="left"
    )
    take = order["row"].to_numpy()
    readings = Readings(
        posterior=posterior[take],
        n_eff=parts.n[take],
        sentiment=sentiment[take],
        curve=_curves(contexts, sentiment)[take],
        emotion=group_emotions(emotion, EMOTIONS)[take],
        message=message[take],
        explore=sentiment[take] > DISTRESS,
    )
    return Read(kept, readings, order["text"])


def _contexts(
    lake: Lake, decisions: pl.DataFrame, events: pl.DataFrame, rows: NDArray[np.int64]
) -> pl.DataFrame:
    """One row a decision: its message's text, place in the conversation and place in `events`."""
    told = (
        events.with_row_index("event")
        .filter(pl.Series(rows >= 0))
        .select("turn_id", "event")
        .join(timelines.messages(lake, purpose="infer_affect"), on="turn_id", how="inner")
        .select("event", "text", "ts", "turn_index", episode_id="conversation_id")
        .sort("turn_index")
    )
    asked = decisions.select("decision_id", "episode_id", "turn_index").sort("turn_index")
    return (
        asked.join_asof(
            told.with_columns(message_index=pl.col("turn_index")),
            on="turn_index",
            by="episode_id",
            strategy="backward",
            allow_exact_matches=False,
        )
        .filter(pl.col("event").is_not_null())
        .sort("episode_id", "message_index")
    )


def _curves(contexts: pl.DataFrame, sentiment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sentiment curve of each conversation after its messages so far, rows as `contexts`."""
    result = np.zeros(contexts.height)
    sizes = contexts.group_by("episode_id", maintain_order=True).len()["len"].to_list()
    start = 0
    for size in sizes:
        result[start : start + size] = curve(sentiment[start : start + size])[1:]
        start += size
    return result
