"""What was known before each decision: the training side of `serve/reading.py` and `minds.py`."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect.curve import curves
from rapport.affect.languages import readable
from rapport.affect.scorers import EMOTIONS, AffectScorer
from rapport.lake import Lake
from rapport.personas.model import PersonaModel
from rapport.policy.behaviour import DISTRESS
from rapport.policy.dataset import Readings
from rapport.policy.features import group_emotions
from rapport.schema import CRISIS_FACET
from rapport.users import timelines
from rapport.users.embed import aligned, turn_vectors
from rapport.users.encoder import UserEncoder


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
    one (a crisis, no agreement to infer affect) are left out. One in a language whose affect is not
    read is neutral, leaves the curve as it is, and nothing is explored on it.
    """
    events = timelines.events(lake, purpose="infer_affect")
    rows, vectors = aligned(events, turn_vectors(lake, encoder_id=users.encoder_id))
    contexts = contexts_of(lake, decisions, among=_with_vectors(events, rows))
    message = vectors[rows[contexts["event"].to_numpy()]]
    parts = users.parts(users.encode_through(events, rows, vectors)[contexts["event"].to_numpy()])
    texts = contexts["text"].to_list()
    heard = readable(texts)
    emotion = np.where(heard[:, None], scorer.emotion(texts, message), 0.0)
    sentiment = np.where(heard, scorer.sentiment(texts, message), np.nan)
    posterior = personas.posterior(parts.mean, parts.n, parts.features, emotion)
    kept = decisions.join(contexts.select("decision_id"), on="decision_id", how="semi")
    order = kept.select("decision_id").join(
        contexts.with_row_index("row"), on="decision_id", how="left", maintain_order="left"
    )
    take = order["row"].to_numpy()
    readings = Readings(
        posterior=posterior[take],
        n_eff=parts.n[take],
        sentiment=np.nan_to_num(sentiment)[take],
        curve=np.nan_to_num(_curves(contexts, sentiment))[take],
        emotion=group_emotions(emotion, EMOTIONS)[take],
        message=message[take],
        explore=sentiment[take] > DISTRESS,  # false where it is not a number
    )
    return Read(kept, readings, order["text"])


def contexts_of(
    lake: Lake, decisions: pl.DataFrame, *, among: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Find the message each decision answered: the last one of its conversation before the reply.

    A decision that answered a message of crisis has none: what came before it is not its context.

    Args:
        lake: Read for the purpose `infer_affect`.
        decisions: Rows of the decisions table.
        among: `turn_id` and any other columns of the turns that count; none counts all.

    Returns:
        Rows for the decisions that have one, by conversation and time: `decision_id`,
        `episode_id`, `message_index`, `text`, and the columns of `among`.
    """
    told = timelines.messages(lake, purpose="infer_affect").select(
        "turn_id", "text", "turn_index", episode_id="conversation_id"
    )
    if among is not None:
        told = told.join(among, on="turn_id")
    told = pl.concat([told, _in_crisis(lake)], how="diagonal")
    told = told.with_columns(message_index=pl.col("turn_index")).sort("turn_index")
    asked = decisions.select("decision_id", "episode_id", "turn_index").sort("turn_index")
    return (
        asked.join_asof(
            told,
            on="turn_index",
            by="episode_id",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,  # both sides are sorted by it just above
        )
        .drop_nulls("text")
        .sort("episode_id", "message_index")
    )


def _in_crisis(lake: Lake) -> pl.DataFrame:
    """Places of messages of crisis; their text is null here, whatever a log kept of it."""
    turns = lake.scan("turns", purpose="infer_affect").filter(
        pl.col("role") == "user", pl.col("facet") == CRISIS_FACET
    )
    return turns.select("turn_index", episode_id="conversation_id").collect()


def _with_vectors(events: pl.DataFrame, rows: NDArray[np.int64]) -> pl.DataFrame:
    numbered = events.select("turn_id").with_row_index("event")
    return numbered.filter(pl.Series(rows >= 0))


def _curves(contexts: pl.DataFrame, sentiment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sentiment curve of each conversation after its messages so far, rows as `contexts`."""
    series = contexts["episode_id"].rle_id().to_numpy().astype(np.int64)
    return curves(sentiment, series)
