"""Replies as people got them: do they fit what was said, do they loop, who wrote them?

The fit of a reply is the cosine of its vector with that of the message it answered. Beside it
stands the mean over the messages of all other users of the same agent: what every shuffling of the
contexts would give on average, computed whole instead of drawn.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.evaluation.intervals import Estimate, Terms, estimates
from rapport.governance.replies import repetition
from rapport.lake import Lake
from rapport.language.showing import recovered
from rapport.measuring.result import Group, Measure, Measures, Result
from rapport.schema import CRISIS_FACET
from rapport.text import TextEncoder

PURPOSE = "analytics"
LIMIT = 5_000
"""Replies that are read, the newest; bounds time and memory."""
_SPOKEN = ("full", "pinned", "control", "guard_replaced", "fallback")
"""Ways of delivery in which people read a reply that came from here."""
_WRITTEN_BY_PEOPLE = ("library", "fallback")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE_END = re.compile(r"[.!?\n]+")
_FOUR, _LEAST_WORDS = 4, 3
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Replies:
    """N delivered replies: columns `user_id, agent_id, message, reply, origin, delivered, again`.

    `again` says whether the same reply was given before in the conversation.
    """

    frame: pl.DataFrame
    skipped: int
    """Delivered replies to no readable message: after a crisis, or not for this purpose."""


def measure_replies(found: Replies, encoder: TextEncoder, *, home: Path) -> Result:
    """Measure replies that a home's graph delivered.

    Returns:
        `fit_own`, `fit_shuffled` and `fit_gain` (cosines, intervals over users); shares `loops`,
        `empty`, `repeats` (said before in the conversation), `library`, `guard_replaced` with
        Wilson's intervals; `duplicate_4grams`, the share of four-word sequences that came before
        in the reply. Groups are the origins, each with the same.
    """
    frame = found.frame
    cosines = fits(
        encoder.encode(frame["reply"].to_list()).astype(np.float64),
        encoder.encode(frame["message"].to_list()).astype(np.float64),
        agent=frame["agent_id"].to_numpy(),
        user=frame["user_id"].to_numpy(),
    )
    rows = {name: frame["origin"].to_numpy() == name for name in frame["origin"].unique().sort()}
    return Result(
        task="replies",
        data=home,
        rows=frame.height + found.skipped,
        skipped=found.skipped,
        n=frame.height,
        metrics=_measures(frame, cosines),
        groups={
            name: Group(_measures(frame.filter(own), cosines[own])) for name, own in rows.items()
        },
        notes=(
            "a shuffled context is the message of another user of the same agent, the mean over "
            "all of them",
            "a reply loops when a sentence comes twice in it, three words running three times, or "
            "the guard calls it repetition",
        ),
        sha256=_fingerprint(frame),
    )


def delivered(lake: Lake, *, tenant: str = "default", limit: int = LIMIT) -> Replies:
    """The newest replies that were delivered, each with the message it answered.

    Raises:
        TooLittleDataError: Fewer than two users were answered.
    """
    decisions = lake.scan("decisions", purpose=PURPOSE).filter(
        pl.col("tenant") == tenant,
        pl.col("source") == "serve",
        pl.col("mode") != "rank",
        pl.col("delivered").is_in(_SPOKEN),
    )
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct
    given = (
        decisions.select(
            *("user_id", "agent_id", "episode_id", "turn_index", "delivered", "ts"),
            reply=taken.field("text").fill_null(""),
            origin=taken.field("origin").fill_null("unknown"),
        )
        .sort("ts", descending=True)
        .head(limit)
        .sort("turn_index")
        .collect()
    )
    told = given.join_asof(
        _messages(lake, tenant),
        on="turn_index",
        by="episode_id",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,  # both sides are sorted by it just above
    )
    again = ~pl.col("reply").is_first_distinct()
    readable = told.with_columns(again=again.over("episode_id")).drop_nulls("message")
    users = readable["user_id"].n_unique()
    if users < 2:
        raise TooLittleDataError("users that were answered", users, 2, "serve more of them")
    return Replies(readable.sort("episode_id", "turn_index"), told.height - readable.height)


def _messages(lake: Lake, tenant: str) -> pl.DataFrame:
    """What users wrote, by place; null where a crisis was spoken of."""
    turns = lake.scan("turns", purpose=PURPOSE).filter(
        pl.col("tenant") == tenant,
        pl.col("source") == "serve",
        pl.col("role") == "user",
        pl.col("kind") == "message",
    )
    calm = pl.col("facet").fill_null("") != CRISIS_FACET
    message = pl.when(calm).then("text")
    told = turns.select("turn_index", episode_id="conversation_id", message=message)
    return told.sort("turn_index").collect()


def loops(text: str) -> bool:
    """Whether a reply runs in circles; stricter than the guard, which must stop no good reply."""
    words = _words(text)
    sentences = [said.split() for said in _SENTENCE_END.split(text.lower())]
    most = _most(tuple(said) for said in sentences if len(said) >= _LEAST_WORDS)
    return most > 1 or _most(_sequences(words, 3)) > 2 or repetition(text, words=words) is not None


def duplicates(text: str) -> float:
    """Share of a text's four-word sequences that came before in it; 0 where there is none.

    Source: seq-rep-4 of Welleck et al., Neural text generation with unlikelihood training, 2020.
    """
    fours = _sequences(_words(text), _FOUR)
    return 1.0 - len(set(fours)) / len(fours) if fours else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _sequences(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def _most(found: Iterable[tuple[str, ...]]) -> int:
    return max(Counter(found).values(), default=0)


def fits(
    replies: FloatArray, messages: FloatArray, *, agent: NDArray[Any], user: NDArray[Any]
) -> FloatArray:
    """[N, 2] fit to the own message and to those of other users of the agent.

    A mean of cosines is the cosine with the mean of the vectors: O(N D).

    Args:
        replies: [N, D] unit vectors.
        messages: [N, D] unit vectors of the messages they answered.
        agent: [N] labels.
        user: [N] labels.

    Returns:
        The second column is NaN where nobody else wrote to the agent.
    """
    agents = np.unique(agent, return_inverse=True)[1]
    pairs = np.stack([agents, np.unique(user, return_inverse=True)[1]])
    people = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    everybody, own = _sums(messages, agents), _sums(messages, people)
    others = everybody[0][agents] - own[0][people]
    count = everybody[1][agents] - own[1][people]
    near = (replies * others).sum(axis=1)
    shuffled = np.divide(near, count, out=np.full(len(near), np.nan), where=count > 0)
    return np.stack([(replies * messages).sum(axis=1), shuffled], axis=1)


def _sums(vectors: FloatArray, code: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """[K, D] sums and [K] counts by code."""
    sums = np.zeros((int(code.max()) + 1, vectors.shape[1]))
    np.add.at(sums, code, vectors)
    return sums, np.bincount(code).astype(np.float64)


def _measures(frame: pl.DataFrame, cosines: FloatArray) -> Measures:
    replies = frame["reply"].to_list()
    shares = {
        "loops": [loops(reply) for reply in replies],
        "empty": [not _words(reply) for reply in replies],
        "repeats": frame["again"].to_list(),
        "library": frame["origin"].is_in(_WRITTEN_BY_PEOPLE).to_list(),
        "guard_replaced": (frame["delivered"] == "guard_replaced").to_list(),
    }
    told = np.array([duplicates(reply) for reply in replies])
    user = frame["user_id"].to_numpy()
    known = ~np.isnan(cosines[:, 1])
    own, other = cosines[known].T
    means = {"fit_own": own, "fit_shuffled": other, "fit_gain": own - other}
    return {
        **{name: _mean(values, user[known]) for name, values in means.items() if known.any()},
        **{name: _share(values) for name, values in shares.items()},
        "duplicate_4grams": _mean(told, user),
    }


def _mean(values: FloatArray, user: NDArray[np.str_]) -> Measure:
    ones = np.ones(len(values))
    if len(np.unique(user)) < 2:
        return Measure(float(values.mean()), None, None, len(values))
    found: Estimate = estimates([Terms(values[None], ones[None], user, ones)])[0]
    return Measure(found.value, found.low, found.high, found.n)


def _share(values: Sequence[bool]) -> Measure:
    found = recovered(sum(values), len(values))
    return Measure(found.share, found.low, found.high, found.n)


def _fingerprint(frame: pl.DataFrame) -> str:
    """sha256 over what was measured: the home beside it goes on changing."""
    digest = hashlib.sha256()
    for row in frame.select("episode_id", "turn_index", "origin", "message", "reply").iter_rows():
        digest.update("\x1f".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()
