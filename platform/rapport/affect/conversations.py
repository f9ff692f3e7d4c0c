"""Affect and reward of one conversation, as a library: lists in, no lake, no Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.affect.curve import curve
from rapport.affect.languages import readable
from rapport.affect.reward import REWARD, RewardSettings, compute_rewards
from rapport.affect.scorers import AffectScorer, load_scorer
from rapport.errors import DataError
from rapport.schema import schema_of

if TYPE_CHECKING:  # words alone are read without torch
    from rapport.text import TextEncoder

METRICS = ("rating", "thumbs", "task_success", "dwell", "reward")
_ID, _TENANT = "conversation", "library"
_START = datetime(2000, 1, 1, tzinfo=UTC)  # rows need a time; only their order counts


@dataclass(frozen=True)
class ScoredMessage:
    """What one message says: of a user's its affect, of a reply what it earned."""

    role: str
    text: str
    sentiment: float | None = None
    """In [-1, 1]; none of a language whose affect is not read."""
    emotions: tuple[str, ...] = ()
    """Labels of GoEmotions that are there, likeliest first."""
    curve: float | None = None
    """The sentiment curve after this message, in [-1, 1]."""
    reward: float | None = None
    """In [-1, 1]; none where too little came back."""
    channels: Mapping[str, float] = field(default_factory=dict)
    """What each channel that reported said, in [-1, 1]."""


def score(
    messages: Sequence[Mapping[str, str]],
    *,
    feedback: Mapping[int, Mapping[str, float]] | None = None,
    encoder: "TextEncoder | None" = None,
    settings: RewardSettings = REWARD,
) -> list[ScoredMessage]:
    """Score the sentiment of a conversation and the reward of its replies, as the jobs do.

    Crises are not looked for: nothing said in one should become a reward (`governance.Guard`).

    Args:
        messages: As the OpenAI API writes them, oldest first; a system text is left out.
        feedback: By the place of a reply in `messages`: `rating` 1 to 5, `thumbs` and
            `task_success` 0 or 1, `dwell` in seconds, `reward` in [-1, 1].
        encoder: Reads meaning beside words: `rapport.text.load_encoder()`. Without one words alone
            are read, 10,000 short texts a second and a little worse.
        settings: Weights and scales of the reward.

    Returns:
        One entry a message, in order.

    Raises:
        DataError: A message has no text, feedback goes to no reply, or its metric is unknown.
    """
    said = spoken(messages)
    _check(said, feedback or {})
    users = [place for place, (role, _) in enumerate(said) if role == "user"]
    read = _read([said[place][1] for place in users], encoder)
    sentiment = dict(zip(users, map(_number, read.sentiment), strict=True))
    rewards = compute_rewards(
        *_tables(said, feedback or {}),
        pl.DataFrame(
            {"turn_id": [str(place) for place in users], "sentiment": read.sentiment},
            schema={"turn_id": pl.String, "sentiment": pl.Float64},
        ).filter(pl.col("sentiment").is_not_nan()),
        as_of=_START,
        settings=settings,
    )
    earned = {int(row["decision_id"]): row for row in rewards.to_arrow().to_pylist()}
    level = curve(read.sentiment, settings.curve)[1:]
    heard = dict(zip(users, zip(read.emotions, map(_number, level), strict=True), strict=True))
    return [
        ScoredMessage(
            role=role,
            text=text,
            sentiment=sentiment.get(place),
            emotions=heard[place][0] if place in heard else (),
            curve=heard[place][1] if place in heard else None,
            reward=earned[place]["value"] if place in earned else None,
            channels=dict(earned[place]["channels"]) if place in earned else {},
        )
        for place, (role, text) in enumerate(said)
    ]


def spoken(messages: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Role and text of each message.

    Raises:
        DataError: A message has no role or no text.
    """
    for place, message in enumerate(messages):
        if not all(isinstance(message.get(name), str) for name in ("role", "content")):
            raise DataError(f"message {place} has no text", "give each a role and a content")
    return [(message["role"], message["content"]) for message in messages]


@dataclass(frozen=True)
class _Read:
    sentiment: NDArray[np.float64]  # [N], not a number where the language is not read
    emotions: list[tuple[str, ...]]


def _read(texts: Sequence[str], encoder: "TextEncoder | None") -> _Read:
    if not texts:
        return _Read(np.zeros(0), [])
    vectors = None if encoder is None else encoder.encode(texts)
    scorer: AffectScorer = load_scorer(encoder_id=encoder.encoder_id if encoder else None)
    named = scorer.named(scorer.emotion(texts, vectors), by_words=vectors is None)
    heard = readable(texts)
    return _Read(
        np.where(heard, scorer.sentiment(texts, vectors), np.nan),
        [names if read else () for names, read in zip(named, heard, strict=True)],
    )


def _number(value: float) -> float | None:
    """None where a value is not a number."""
    return None if np.isnan(value) else float(value)


def _check(said: Sequence[tuple[str, str]], feedback: Mapping[int, Mapping[str, float]]) -> None:
    for place, metrics in feedback.items():
        if not 0 <= place < len(said) or said[place][0] != "assistant":
            raise DataError(
                f"feedback goes to message {place}", "name the place of a reply, from 0"
            )
        for name in set(metrics) - set(METRICS):
            raise DataError(f"feedback is {name!r}", f"it is one of {', '.join(METRICS)}")


def _tables(
    said: Sequence[tuple[str, str]], feedback: Mapping[int, Mapping[str, float]]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of turns, decisions and feedback; a decision is called by the place of its reply."""
    turns = [
        {
            "turn_id": str(place),
            "conversation_id": _ID,
            "turn_index": place,
            "role": role,
            "kind": "message",
            "text": text,
        }
        for place, (role, text) in enumerate(said)
    ]
    replies = [place for place, (role, _) in enumerate(said) if role == "assistant"]
    decisions = [
        {"decision_id": str(place), "episode_id": _ID, "turn_index": place} for place in replies
    ]
    told = [
        {
            "feedback_id": f"{place}-{name}",
            "decision_id": str(place),
            "metric_name": name,
            "value": float(value),
        }
        for place, metrics in feedback.items()
        for name, value in metrics.items()
    ]
    return _frame("turns", turns), _frame("decisions", decisions), _frame("feedback", told)


def _frame(table: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows of a lake's table in its types; columns that are not given are null."""
    empty = pl.DataFrame(schema_of(table).empty_table())
    whole = [{"tenant": _TENANT, "ts": _START, **row} for row in rows]
    return pl.DataFrame(whole, schema=empty.schema) if whole else empty
