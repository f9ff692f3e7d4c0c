"""Blind pairwise judges: which of two replies answers a message better?

A judge sees a message and two replies, and neither where they come from nor which was asked for.
Each pair is judged in both orders; who changes its mind with the order said nothing, and counts as
a tie. Scores of a length are compared only where both replies have it: they are cut to the shorter
one first, so that no judge can reward words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from rapport.card.lengths import matched
from rapport.card.writers import Conversation
from rapport.errors import TooLittleDataError
from rapport.measuring.ranks import auc

FloatArray = NDArray[np.float64]
LEAST_PAIRS = 100
"""Human replies below which nobody can learn what an answer looks like."""
_SAME = 1e-9
_SEED = 0


class Vectors(Protocol):
    """Reads texts as vectors, such as `rapport.text.TextEncoder`."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, D] of unit length."""


class Empathy(Protocol):
    """Reads how much empathy a reply expresses."""

    def levels(self, posts: Sequence[str], replies: Sequence[str]) -> FloatArray:
        """[N, 3] expected level, 0 to 2, of EPITOME's three mechanisms."""


class Judge(Protocol):
    """Scores N pairs: above 0 where the second reply is better, below 0 where the first is."""

    def __call__(
        self, asked: Sequence[Conversation], first: Sequence[str], second: Sequence[str]
    ) -> FloatArray:
        """[N] preferences."""


@dataclass(frozen=True)
class Preferences:
    """What a judge said of N pairs."""

    won: FloatArray
    """[N] 1 where the second reply was preferred, 0 where the first, .5 for a tie."""
    swayed: float
    """Share of pairs where the order changed its mind."""


def judged(
    judge: Judge,
    asked: Sequence[Conversation],
    first: Sequence[str],
    second: Sequence[str],
    *,
    seed: int = _SEED,
) -> Preferences:
    """Ask a judge twice, in both orders, without telling it which is which.

    Args:
        judge: Who is asked.
        asked: N conversations.
        first: N replies of one writer.
        second: N of the other.
        seed: Of which order comes first.
    """
    swap = np.random.default_rng(seed).random(len(asked)) < 0.5
    found = np.zeros((2, len(asked)))
    for turn in range(2):
        turned = swap ^ bool(turn)
        left = [s if t else f for f, s, t in zip(first, second, turned, strict=True)]
        right = [f if t else s for f, s, t in zip(first, second, turned, strict=True)]
        said = judge(asked, left, right)
        found[turn] = np.where(turned, -said, said)
    signs = np.where(np.abs(found) <= _SAME, 0.0, np.sign(found))
    same = signs[0] == signs[1]
    return Preferences(np.where(same, (signs[0] + 1) / 2, 0.5), float(1 - same.mean()))


def agreement(one: Preferences, other: Preferences) -> float | None:
    """Share of pairs that both judges decide alike, of those that neither leaves open."""
    both = (one.won != 0.5) & (other.won != 0.5)
    return float((one.won[both] == other.won[both]).mean()) if both.any() else None


def empathy_judge(scorer: Empathy) -> Judge:
    """Prefers the reply in which more empathy is expressed, word for word.

    The sum of EPITOME's three expected levels, both replies cut to the shorter's words.
    """

    def judge(
        asked: Sequence[Conversation], first: Sequence[str], second: Sequence[str]
    ) -> FloatArray:
        posts = [_last(conversation) for conversation in asked]
        one, other = matched(first, second)
        found = scorer.levels(posts, other) - scorer.levels(posts, one)
        return np.asarray(found.sum(axis=1))

    return judge


def defect_judge(count: Callable[[str, Conversation], int]) -> Judge:
    """Prefers the reply with fewer defects, by rules on words; most pairs are a tie."""

    def judge(
        asked: Sequence[Conversation], first: Sequence[str], second: Sequence[str]
    ) -> FloatArray:
        triples = zip(asked, first, second, strict=True)
        return np.array([float(count(a, told) - count(b, told)) for told, a, b in triples])

    return judge


@dataclass(frozen=True)
class FitJudge:
    """Prefers the reply that a human supporter would rather have written to this very message.

    A logistic model of how a message's vector and its reply's go together, taught by replies of
    human supporters against the same replies under other messages. It reads with the text encoder
    alone: none of the contestants' likelihoods enter, so that no adapter judges itself.
    """

    encoder: Vectors
    weights: FloatArray
    auc: float
    """Share of human replies, of people it did not learn from, ranked above misplaced ones."""
    n: int
    """Replies it learned from."""

    def __call__(
        self, asked: Sequence[Conversation], first: Sequence[str], second: Sequence[str]
    ) -> FloatArray:
        """[N] log odds of the second reply less those of the first, of one length."""
        one, other = matched(first, second)
        said = self.encoder.encode([_last(conversation) for conversation in asked])
        return self._scores(said, other) - self._scores(said, one)

    def chance(self, asked: Sequence[Conversation], replies: Sequence[str]) -> FloatArray:
        """[N] probability, from even odds, that each reply was written for its message."""
        said = self.encoder.encode([_last(conversation) for conversation in asked])
        return np.asarray(1 / (1 + np.exp(-self._scores(said, replies))))

    def _scores(self, said: NDArray[np.float32], replies: Sequence[str]) -> FloatArray:
        vectors = self.encoder.encode(list(replies))
        return _features(said, vectors) @ self.weights


def fit_judge(
    encoder: Vectors, messages: Sequence[str], replies: Sequence[str], user: Sequence[str]
) -> FitJudge:
    """Learn which replies go with which messages from what people wrote.

    Args:
        encoder: Of texts.
        messages: N messages.
        replies: N replies of people to them.
        user: N labels of whose messages these are; a fifth of the users is kept to measure on.

    Raises:
        TooLittleDataError: Fewer than 100 replies, or of fewer than five people.
    """
    people = np.unique(np.asarray(user))
    if len(replies) < LEAST_PAIRS or len(people) < 5:
        raise TooLittleDataError("replies to teach a judge", len(replies), LEAST_PAIRS)
    shuffled = np.random.default_rng(_SEED).permutation(people)
    held = np.isin(np.asarray(user), shuffled[: max(len(people) // 5, 1)])
    said, wrote = encoder.encode(list(messages)), encoder.encode(list(replies))
    trial = _fitted(said[~held], wrote[~held])
    true = _features(said[held], wrote[held]) @ trial
    other = _features(said[held], np.roll(wrote[held], 1, axis=0)) @ trial
    found = auc(np.concatenate([true, other]), np.repeat([0.0, 1.0], len(true)))
    return FitJudge(encoder, _fitted(said, wrote), found, len(replies))


def _fitted(said: NDArray[np.float32], wrote: NDArray[np.float32]) -> FloatArray:
    rows = [_features(said, wrote), _features(said, np.roll(wrote, 1, axis=0))]
    labels = np.repeat([1, 0], len(said))
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=500)
    return np.asarray(model.fit(np.concatenate(rows), labels).coef_[0])


def _features(said: NDArray[np.float32], wrote: NDArray[np.float32]) -> FloatArray:
    """[N, D + 2] how two unit vectors go together: by dimension, as a whole, and a constant."""
    product = (said * wrote).astype(np.float64)
    ones = np.ones((len(said), 1))
    return np.hstack([product * np.sqrt(said.shape[1]), product.sum(axis=1, keepdims=True), ones])


def _last(conversation: Conversation) -> str:
    return conversation[-1]["content"]
