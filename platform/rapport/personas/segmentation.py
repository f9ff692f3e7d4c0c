"""From the lake's users to named personas, their cards, and who belongs to which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.personas.cards import Card, build_cards
from rapport.personas.emotion import with_emotions
from rapport.personas.fit import LEAST_USERS, fit
from rapport.personas.match import match
from rapport.personas.model import PersonaModel, margins
from rapport.personas.subspace import group_means
from rapport.users.embed import aligned, rows_of, turn_vectors
from rapport.users.encoder import UserEncoder
from rapport.users.timelines import events, messages

FloatArray = NDArray[np.float32]

Scorer = Callable[[Sequence[str], FloatArray], NDArray[np.floating]]
"""Emotion probabilities [N, M] of texts, given their turn vectors [N, D]."""
LEAST_TURNS = 3
"""Turns of a user that a fit learns from; who wrote less is assigned, not learned from."""
_SCORED = 8000  # turns the emotion evidence is fitted on


@dataclass(frozen=True)
class SegmentSettings:
    """How personas are found."""

    seed: int = 0
    k: int | None = None
    """Number of personas, none to choose it from the data."""
    with_events: bool = True
    """Whether behaviour counts beside words."""
    tenant: str = "default"


@dataclass(frozen=True)
class Segmentation:
    """What a run found."""

    model: PersonaModel
    cards: list[Card]
    fitted: int
    """Users the personas were learned from."""
    assigned: int
    """Users in `persona_assignments`."""


@dataclass(frozen=True)
class _Learned:
    """Turns that may be learned from: one row a turn, with codes of users and conversations."""

    turns: pl.DataFrame
    vectors: FloatArray
    user_ids: list[str]
    users: NDArray[np.int64]
    conversations: NDArray[np.int64]


def segment_personas(
    lake: Lake,
    *,
    encoder: UserEncoder,
    settings: SegmentSettings,
    previous: PersonaModel | None = None,
    emotions: Scorer | None = None,
) -> Segmentation:
    """Find personas, keep the names of the last fit, and replace `persona_assignments`.

    Personas are learned from users whose rows allow both `train` and `infer_affect`; everybody
    whose rows allow `infer_affect` is assigned.

    Args:
        lake: With `turn_embeddings` and `user_embeddings` up to date.
        encoder: The user encoder that made them.
        settings: How.
        previous: The last model; ignored when made with another text encoder.
        emotions: Scores a message's emotions; none leaves that evidence out.

    Raises:
        TooLittleDataError: Fewer than 20 users wrote at least 3 turns.
    """
    states = _user_states(lake, encoder, settings.tenant)
    learned = _learned(lake, encoder, settings.tenant)
    features = _features_of(states, learned.user_ids, encoder) if settings.with_events else None
    model = fit(
        learned.vectors,
        learned.users,
        seed=settings.seed,
        conversations=learned.conversations,
        features=features,
        k=settings.k,
    )
    model = replace(model, encoder_id=encoder.encoder_id)
    means, n = group_means(learned.vectors, learned.users)
    if previous is not None and previous.encoder_id == encoder.encoder_id:
        model = match(previous, model, means=means, n=n, seed=settings.seed)
    places = model.posterior(means, n, features).argmax(axis=1)
    if emotions is not None:
        model = _with_emotions(model, learned, places, emotions, seed=settings.seed)
    members = pl.DataFrame(
        {"user_id": learned.user_ids, "persona_id": [model.names[place] for place in places]}
    )
    cards = _cards(lake, model, members, learned.turns, settings)
    assigned = _assign(lake, model, states, encoder=encoder, settings=settings)
    return Segmentation(model, cards, len(learned.user_ids), assigned)


def _learned(lake: Lake, encoder: UserEncoder, tenant: str) -> _Learned:
    inferable = messages(lake, purpose="infer_affect", tenant=tenant).select("turn_id")
    turns = messages(lake, purpose="train", tenant=tenant).join(
        inferable, on="turn_id", how="semi", maintain_order="left"
    )
    known = turn_vectors(lake, encoder_id=encoder.encoder_id, tenant=tenant)
    turns = turns.join(known, on="turn_id", how="semi", maintain_order="left").filter(
        pl.len().over("user_id") >= LEAST_TURNS
    )
    ids, users = np.unique(turns["user_id"].to_numpy(), return_inverse=True)
    if len(ids) < LEAST_USERS:
        raise TooLittleDataError(
            f"users with {LEAST_TURNS} turns to find personas in", len(ids), LEAST_USERS
        )
    rows, vectors = aligned(turns, known)
    talks = np.unique(turns["conversation_id"].to_numpy(), return_inverse=True)[1]
    return _Learned(turns, vectors[rows], ids.tolist(), users, talks)


def _user_states(lake: Lake, encoder: UserEncoder, tenant: str) -> pl.DataFrame:
    """Columns `user_id, vector` of users who still allow inference, by id."""
    allowed = messages(lake, purpose="infer_affect", tenant=tenant).select("user_id").unique()
    return (
        lake.scan("user_embeddings")
        .filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder.encoder_id)
        .select("user_id", "vector")
        .collect()
        .join(allowed, on="user_id", how="semi")
        .sort("user_id")
    )


def _matrix(states: pl.DataFrame, encoder: UserEncoder) -> FloatArray:
    stacked = states["vector"].list.to_array(encoder.width).to_numpy()
    return np.asarray(stacked, np.float32).reshape(-1, encoder.width)


def _features_of(states: pl.DataFrame, ids: Sequence[str], encoder: UserEncoder) -> FloatArray:
    wanted = pl.DataFrame({"user_id": ids}).join(
        states, on="user_id", how="left", maintain_order="left"
    )
    if wanted["vector"].null_count():
        raise TooLittleDataError(
            "users with a vector", len(ids) - wanted["vector"].null_count(), len(ids)
        )
    return encoder.parts(_matrix(wanted, encoder)).features


def _with_emotions(
    model: PersonaModel,
    learned: _Learned,
    places: NDArray[np.int64],
    emotions: Scorer,
    *,
    seed: int,
) -> PersonaModel:
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(learned.users))[:_SCORED])
    texts = learned.turns["text"][chosen].to_list()
    vectors = learned.vectors[chosen]
    scored = np.asarray(emotions(texts, vectors), np.float32)
    return with_emotions(model, vectors, places[learned.users[chosen]], scored)


def _assign(
    lake: Lake,
    model: PersonaModel,
    states: pl.DataFrame,
    *,
    encoder: UserEncoder,
    settings: SegmentSettings,
) -> int:
    parts = encoder.parts(_matrix(states, encoder))
    features = parts.features if settings.with_events else None
    posterior = model.posterior(parts.mean, parts.n, features)
    best = posterior.argmax(axis=1)
    rows = pl.DataFrame(
        {
            "tenant": [settings.tenant] * states.height,
            "user_id": states["user_id"],
            "persona_id": [model.names[place] for place in best],
            "persona_version": [model.version] * states.height,
            "probability": posterior[np.arange(len(best)), best],
            "margin": margins(posterior),
        }
    )
    lake.replace("persona_assignments", rows.to_arrow(), where=rows_of(settings.tenant))
    return states.height


def _cards(
    lake: Lake,
    model: PersonaModel,
    members: pl.DataFrame,
    turns: pl.DataFrame,
    settings: SegmentSettings,
) -> list[Card]:
    return build_cards(
        model,
        members,
        texts=turns.select("user_id", "text"),
        events=events(lake, purpose="train", tenant=settings.tenant),
        rewards=rewards_by_arm(lake, tenant=settings.tenant),
        seed=settings.seed,
    )


def rewards_by_arm(lake: Lake, *, tenant: str = "default") -> pl.DataFrame:
    """Newest reward of every decision delivered in full: columns `user_id, arm, reward`."""
    newest = (
        lake.scan("rewards", purpose="train")
        .filter(pl.col("tenant") == tenant)
        .sort("reward_version", "as_of")
        .group_by("decision_id")
        .agg(reward=pl.col("value").last())
    )
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct.field("arm")
    return (
        lake.scan("decisions", purpose="train")
        .filter(pl.col("tenant") == tenant, pl.col("delivered") == "full")
        .select("decision_id", "user_id", arm=taken)
        .join(newest, on="decision_id")
        .drop_nulls("arm")
        .select("user_id", "arm", "reward")
        .collect()
    )
