"""What simulated people hear in a reply: graded marks of its kind, read from its words alone."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.phrases import leads, load

FloatArray = NDArray[np.float64]

MARKS = (
    "question",
    "restatement",
    "reflection",
    "affirmation",
    "suggestion",
    "information",
    "normalising",
    "clarify",
    "apology",
    "escalation",
)
"""Kinds of reply that people tell apart, over both agents; the columns of every marks array."""
_COVERS = {
    "question": ("clarify", "escalation", "suggestion"),
    "restatement": ("clarify",),
    "reflection": ("restatement",),
    "suggestion": ("information", "clarify"),
}
"""A kind that is heard less where another one shows: a check-back is more than a question mark."""
_COVERED = 0.8


@dataclass(frozen=True)
class Reading:
    """Replies as people take them in.

    `marks` [R, M] in [0, 1], strength of each kind; `manners` [R, K], 1 where the reply opens in
    that manner; `flaw` [R] >= 0, dislike of its form (too long, too short, repeating itself);
    `length` [R] in words; `vocabulary` the words of each.
    """

    marks: FloatArray
    manners: FloatArray
    flaw: FloatArray
    length: NDArray[np.int64]
    vocabulary: tuple[frozenset[str], ...]

    def attention(self) -> FloatArray:
        """Marks [R, M] scaled down so that a reply of many kinds earns no more than one kind."""
        return np.asarray(self.marks / np.maximum(1.0, self.marks.sum(axis=1, keepdims=True)))


def read(texts: Sequence[str]) -> Reading:
    """Read replies by the simulation's own lexicon.

    Patterns of one kind add up as a noisy or, `1 - prod(1 - strength)`; a kind that another one
    covers is then heard at `1 - .8 * cover` of its strength. About 100 us a reply.

    Args:
        texts: R replies in any wording; letters' case does not matter.

    Source: the noisy or is Pearl's (Probabilistic Reasoning in Intelligent Systems, 1988, 4.3.2).
    """
    lowered = [text.lower().replace("\u2019", "'") for text in texts]
    words = [re.findall(r"[a-z']+", text) for text in lowered]
    return Reading(
        marks=_uncovered(np.array([_heard(text) for text in lowered]).reshape(-1, len(MARKS))),
        manners=np.array([_opens(text) for text in lowered]).reshape(-1, len(leads())),
        flaw=np.array([_flaw(reply) for reply in words]),
        length=np.array([len(reply) for reply in words], dtype=np.int64),
        vocabulary=tuple(frozenset(reply) for reply in words),
    )


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """How much two replies repeat each other, in [0, 1].

    Words of both over words of either. Source: Jaccard, New Phytologist 11 (1912), 37-50.
    """
    return len(one & other) / max(1, len(one | other))


@cache
def _patterns() -> tuple[tuple[tuple[re.Pattern[str], float], ...], ...]:
    raw = load("lexicon.yaml")
    return tuple(
        tuple((re.compile(pattern), strength) for pattern, strength in raw[mark].items())
        for mark in MARKS
    )


def _heard(text: str) -> list[float]:
    marks = []
    for patterns in _patterns():
        # Noisy or: independent cues, each of which may be the one that is heard.
        missed = 1.0
        for pattern, strength in patterns:
            if pattern.search(text):
                missed *= 1.0 - strength
        marks.append(1.0 - missed)
    return marks


def _opens(text: str) -> list[float]:
    return [
        float(any(text.lstrip().startswith(lead.lower().rstrip(".")) for lead in manner))
        for manner in leads()
    ]


def _uncovered(marks: FloatArray) -> FloatArray:
    column = {mark: index for index, mark in enumerate(MARKS)}
    result = marks.copy()
    for mark, covers in _COVERS.items():
        over = marks[:, [column[cover] for cover in covers]].max(axis=1)
        result[:, column[mark]] *= 1.0 - _COVERED * over
    return result


def _flaw(words: Sequence[str]) -> float:
    # Above 30 words a reply reads as a lecture; repeated word pairs are a model in a loop.
    long = max(0, len(words) - 30) / 60
    short = 0.1 if len(words) < 3 else 0.0
    pairs = list(itertools.pairwise(words))
    again = 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0
    return min(0.6, long + short + max(0.0, again - 0.1))
