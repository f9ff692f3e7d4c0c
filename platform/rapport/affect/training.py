"""Train the emotion and sentiment scorer from labelled texts and from messages of known mood."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rapport.affect.fitting import Examples, Fitted, fit_heads
from rapport.affect.linear import Float32Array, each
from rapport.affect.scorers import EMOTIONS, AffectScorer
from rapport.errors import DataError

FloatArray = NDArray[np.float64]

POSITIVE = (
    "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy",
    "love", "optimism", "pride", "relief",
)  # fmt: skip
NEGATIVE = (
    "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear",
    "grief", "nervousness", "remorse", "sadness",
)  # fmt: skip
"""The sentiment groups of GoEmotions; its four ambiguous labels and neutral are in neither."""
_EMOTION_ROWS, _POLARITY_ROWS = 20_000, 30_000
"""Lexical features kept: at one byte an output, the weights stay below 1 MB."""


@dataclass(frozen=True)
class Moods:
    """M messages whose writers' true mood is known."""

    texts: Sequence[str]
    mood: FloatArray
    """[M] in [-1, 1]."""
    vectors: Float32Array | None = None


def train_affect(
    texts: Sequence[str],
    labels: FloatArray,
    vectors: Float32Array | None = None,
    *,
    moods: Moods | None = None,
    encoder_id: str | None = None,
    seed: int = 0,
) -> AffectScorer:
    """Train a scorer; the same input gives the same weights.

    Emotions are learned from the labelled texts alone, sentiment from their polarity and from the
    moods. Thresholds maximise F1 on texts that the weights behind them had not seen. About two
    minutes for 40,000 texts on one free core, encoding apart.

    Args:
        texts: N texts.
        labels: [N, 28], 1 where an emotion is there, in the order of `EMOTIONS`.
        vectors: [N, D] of the texts; moods then need theirs. Without them words alone are used.
        moods: More messages, for sentiment.
        encoder_id: Encoder of the vectors.
        seed: Deals the texts to the folds.

    Raises:
        TooLittleDataError: Fewer than 30 texts.
        DataError: Labels do not fit the texts, or only one of both sources has vectors.
    """
    if np.shape(labels) != (len(texts), len(EMOTIONS)):
        raise DataError(
            f"labels of shape {np.shape(labels)} for {len(texts)} texts", "give 28 labels a text"
        )
    moods = moods or Moods((), np.empty(0), None if vectors is None else vectors[:0])
    if (vectors is None) != (moods.vectors is None):
        raise DataError("only one of texts and moods has vectors", "encode both or neither")
    vectors = None if vectors is None else np.asarray(vectors, dtype=np.float32)
    targets = np.asarray(labels, dtype=np.float32)
    emotions = fit_heads(
        Examples(texts, targets, vectors), loss=each, rows=_EMOTION_ROWS, seed=seed
    )
    signs = fit_heads(
        _signed(texts, labels, vectors, moods), loss=each, rows=_POLARITY_ROWS, seed=seed
    )
    thresholds, unseen = _thresholds(emotions, labels)
    return AffectScorer(
        emotions.heads,
        signs.heads,
        thresholds,
        None if vectors is None else encoder_id,
        {"seed": seed, "unseen": unseen},
    )


def polarity(labels: FloatArray) -> FloatArray:
    """Share of positive less share of negative labels [N] in [-1, 1], from labels [N, 28]."""
    sign = np.array([(name in POSITIVE) - (name in NEGATIVE) for name in EMOTIONS], dtype=float)
    return np.asarray(labels @ sign / np.maximum(labels.sum(axis=1), 1))


def best_thresholds(probability: FloatArray, labels: FloatArray) -> FloatArray:
    """Threshold [K] of each column that maximises its F1 on these rows [N, K]; 1 without a hit."""
    found = []
    for column, truth in zip(probability.T, labels.T, strict=True):
        order = np.argsort(-column, kind="stable")
        hits = np.cumsum(truth[order])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
        # Equal probabilities cannot be parted: a cut counts only where the next one is lower.
        cut = np.append(np.diff(column[order]) < 0, True)
        best = column[order][np.argmax(np.where(cut, f1, -1.0))]
        found.append(best if truth.any() else 1.0)
    return np.array(found)


def f1_scores(there: NDArray[np.bool_], labels: FloatArray) -> tuple[float, float]:
    """Macro and micro F1 of decisions [N, K] against labels [N, K]; 0 for a column with neither."""
    hits, size = (there * labels).sum(axis=0), there.sum(axis=0) + labels.sum(axis=0)
    macro = (2 * hits / np.maximum(size, 1)).mean()
    return float(macro), float(2 * hits.sum() / max(size.sum(), 1))


def _signed(
    texts: Sequence[str], labels: FloatArray, vectors: Float32Array | None, moods: Moods
) -> Examples:
    """Texts and moods together; a polarity of s is a share of (1 + s) / 2 of positive."""
    share = (1 + np.concatenate([polarity(labels), moods.mood])) / 2
    both = None
    if vectors is not None and moods.vectors is not None:
        both = np.concatenate([vectors, moods.vectors])
    return Examples([*texts, *moods.texts], share[:, None].astype(np.float32), both)


def _thresholds(fitted: Fitted, labels: FloatArray) -> tuple[FloatArray, dict[str, float]]:
    thresholds: list[FloatArray] = []
    facts: dict[str, float] = {}
    for name, scores in (("words", fitted.lexical_scores), ("vectors", fitted.scores)):
        probability = expit(scores.astype(np.float64))
        thresholds.append(best_thresholds(probability, labels))
        macro, micro = f1_scores(probability >= thresholds[-1], labels)
        facts |= {f"macro_f1_{name}": round(macro, 4), f"micro_f1_{name}": round(micro, 4)}
    return np.stack(thresholds), facts
