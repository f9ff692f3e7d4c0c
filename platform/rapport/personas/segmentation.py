"""From the lake's users to named personas, their cards, and who belongs to which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from rapport.bounds import FIT_USERS, HELD_TURNS
from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.personas.cards import Card, build_cards
from rapport.personas.emotion import with_emotions
from rapport.personas.fit import fit_people
from rapport.personas.gathering import deal, gather, texts_of, turns_to_deal
from rapport.personas.match import match
from rapport.personas.model import PersonaModel, margins
from rapport.users.encoder import UserEncoder
from rapport.users.features import FEATURES
from rapport.users.parts import Mapper, Parts
from rapport.users.states import PURPOSE, Counted, matrix, rows_of
from rapport.users.timelines import events_of, in_order, messages_of

FloatArray = NDArray[np.float32]

Scorer = Callable[[Sequence[str], FloatArray], NDArray[np.floating]]
"""Emotion probabilities [N, M] of texts, given their turn vectors [N, D]."""
CARD_USERS = 5_000
"""Users of a fit whose words and events make the cards, at random where there are more."""
_BATCH_USERS = 10_000


@dataclass(frozen=True)
class SegmentSettings:
    """How personas are found."""

    seed: int = 0
    k: int | None = None
    """Number of personas, none to choose it from the data."""
    with_events: bool = True
    """Whether behaviour counts beside words."""
    tenant: str = "default"
    fit_users: int = FIT_USERS
    """Users the personas are learned from, at random where there are more; all are assigned."""
    held_turns: int = HELD_TURNS
    """Turns of users worked on at once; bounds memory, at about 10 KB a turn."""
    scratch: Path | None = None
    """Where temporary files go, none for the system's place."""


@dataclass(frozen=True)
class Segmentation:
    """What a run found."""

    model: PersonaModel
    cards: list[Card]
    fitted: int
    """Users the personas were learned from."""
    assigned: int
    """Users in `persona_assignments`."""


def segment_personas(
    lake: Lake,
    *,
    encoder: UserEncoder,
    settings: SegmentSettings,
    previous: PersonaModel | None = None,
    emotions: Scorer | None = None,
    mapper: Mapper = map,
) -> Segmentation:
    """Find personas, keep the names of the last fit, and replace `persona_assignments`.

    Personas are learned from users whose rows allow both `train` and `infer_affect`; everybody
    whose rows allow `infer_affect` is assigned. Turns are read once and dealt into parts of whole
    users; memory is that of one part, of a mean a user learned from, and of a batch of users.

    Args:
        lake: With `turn_embeddings` and `user_embeddings` up to date.
        encoder: The user encoder that made them.
        settings: How.
        previous: The last model; ignored when made with another text encoder.
        emotions: Scores a message's emotions; none leaves that evidence out.
        mapper: Runs the parts.

    Raises:
        TooLittleDataError: Fewer than 20 users wrote at least 3 turns.
    """
    encoder_id, tenant = encoder.encoder_id, settings.tenant
    turns = turns_to_deal(lake, encoder_id=encoder_id, tenant=tenant)
    with Parts(turns, held=settings.held_turns, scratch=settings.scratch) as parts:
        deal(lake, parts, encoder_id=encoder_id, tenant=tenant)
        seen = gather(
            parts, turns=turns, fit_users=settings.fit_users, seed=settings.seed, mapper=mapper
        )
        people = seen.people
        features = _features(lake, seen.user_ids, encoder, settings)
        model = fit_people(people, seed=settings.seed, features=features, k=settings.k)
    model = replace(model, encoder_id=encoder_id)
    if previous is not None and previous.encoder_id == encoder_id:
        model = match(previous, model, means=people.means, n=people.n, seed=settings.seed)
    places = model.posterior(people.means, people.n, features).argmax(axis=1)
    names = [model.names[place] for place in places]
    members = pl.DataFrame({"user_id": seen.user_ids, "persona_id": names})
    if emotions is not None:
        model = _with_emotions(lake, model, seen.sample, members, emotions, tenant=tenant)
    cards = _cards(lake, model, members, settings)
    assigned = _assign(lake, model, encoder=encoder, settings=settings)
    return Segmentation(model, cards, len(seen.user_ids), assigned)


def _states(lake: Lake, encoder: UserEncoder, tenant: str) -> pl.LazyFrame:
    rows = lake.scan("user_embeddings").filter(
        pl.col("tenant") == tenant, pl.col("encoder_id") == encoder.encoder_id
    )
    return rows.select("user_id", "vector")


def _features(
    lake: Lake, user_ids: Sequence[str], encoder: UserEncoder, settings: SegmentSettings
) -> FloatArray | None:
    """Behaviour [U, F] of users, in their order; none without events."""
    if not settings.with_events:
        return None
    wanted = pl.DataFrame({"user_id": user_ids}).with_row_index("row")
    result = np.zeros((len(user_ids), len(FEATURES)), np.float32)
    found = 0
    states = _states(lake, encoder, settings.tenant)
    for batch in lake.batches(states.join(wanted.lazy(), on="user_id"), size=_BATCH_USERS):
        if not batch.is_empty():
            result[batch["row"].to_numpy()] = encoder.parts(matrix(batch["vector"])).features
            found += batch.height
    if found < len(user_ids):
        raise TooLittleDataError("users with a vector", found, len(user_ids))
    return result


def _with_emotions(
    lake: Lake,
    model: PersonaModel,
    sample: pl.DataFrame,
    members: pl.DataFrame,
    emotions: Scorer,
    *,
    tenant: str,
) -> PersonaModel:
    told = texts_of(lake, sample["turn_id"].to_list(), tenant=tenant)
    chosen = sample.join(told, on="turn_id", maintain_order="left").join(
        members, on="user_id", maintain_order="left"
    )
    vectors = matrix(chosen["vector"])
    scored = np.asarray(emotions(chosen["text"].to_list(), vectors), np.float32)
    places = np.array([model.names.index(name) for name in chosen["persona_id"]])
    return with_emotions(model, vectors, places, scored)


def _assign(
    lake: Lake, model: PersonaModel, *, encoder: UserEncoder, settings: SegmentSettings
) -> int:
    """Assign everybody who allows it, batch by batch, in one commit."""
    allowed = messages_of(lake, purpose=PURPOSE, tenant=settings.tenant).select("user_id").unique()
    states = _states(lake, encoder, settings.tenant).join(allowed, on="user_id", how="semi")
    batches = lake.batches(states, size=_BATCH_USERS)
    tables = Counted(_assigned(batch, model, encoder, settings) for batch in batches)
    lake.replace("persona_assignments", iter(tables), where=rows_of(settings.tenant))
    return tables.rows


def _assigned(
    states: pl.DataFrame, model: PersonaModel, encoder: UserEncoder, settings: SegmentSettings
) -> pa.Table:
    vectors = np.zeros((0, encoder.width), np.float32)
    if not states.is_empty():
        vectors = matrix(states["vector"])
    parts = encoder.parts(vectors)
    features = parts.features if settings.with_events else None
    posterior = model.posterior(parts.mean, parts.n, features)
    best = posterior.argmax(axis=1)
    return pa.table(
        {
            "tenant": pa.repeat(settings.tenant, states.height),
            "user_id": states["user_id"].to_arrow(),
            "persona_id": pa.array([model.names[place] for place in best], pa.string()),
            "persona_version": pa.repeat(model.version, states.height),
            "probability": posterior[np.arange(len(best)), best],
            "margin": margins(posterior),
        }
    )


def _cards(
    lake: Lake, model: PersonaModel, members: pl.DataFrame, settings: SegmentSettings
) -> list[Card]:
    """Describe personas by what at most `CARD_USERS` of their users wrote and did."""
    told = members.head(CARD_USERS).select("user_id").lazy()
    texts = messages_of(lake, purpose="train", also=(PURPOSE,), tenant=settings.tenant)
    happened = events_of(lake, purpose="train", tenant=settings.tenant)
    return build_cards(
        model,
        members,
        texts=texts.select("user_id", "text").join(told, on="user_id", how="semi").collect(),
        events=in_order(happened.join(told, on="user_id", how="semi").collect()),
        rewards=rewards_by_arm(lake, tenant=settings.tenant, users=told),
        seed=settings.seed,
    )


def rewards_by_arm(
    lake: Lake, *, tenant: str = "default", users: pl.LazyFrame | None = None
) -> pl.DataFrame:
    """Newest reward of every decision delivered in full: columns `user_id, arm, reward`.

    Args:
        lake: Read for the purpose `train`.
        tenant: Whose decisions.
        users: A column `user_id` of those that count, none for all.
    """
    earned = lake.scan("rewards", purpose="train").filter(pl.col("tenant") == tenant)
    decisions = lake.scan("decisions", purpose="train").filter(pl.col("tenant") == tenant)
    if users is not None:
        earned, decisions = (
            rows.join(users, on="user_id", how="semi") for rows in (earned, decisions)
        )
    newest = (
        earned.sort("reward_version", "as_of")
        .group_by("decision_id")
        .agg(reward=pl.col("value").last())
    )
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct.field("arm")
    return (
        decisions.filter(pl.col("delivered") == "full")
        .select("decision_id", "user_id", arm=taken)
        .join(newest, on="decision_id")
        .drop_nulls("arm")
        .select("user_id", "arm", "reward")
        .collect()
    )
