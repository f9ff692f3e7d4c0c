"""Emotion and sentiment of a text, by weights that are shipped or were trained in this home."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rapport.affect.heads import Heads
from rapport.affect.linear import Float32Array
from rapport.affect.weights import load_weights, save_weights

FloatArray = NDArray[np.float64]

EMOTIONS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion",
    "curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment",
    "excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride",
    "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
"""The labels of GoEmotions in its own order (Demszky et al., ACL 2020)."""
NAME = "affect"


@dataclass(frozen=True)
class AffectScorer:
    """Read the 28 emotions and the sentiment of texts; any number of threads may share one.

    Vectors are those of the encoder named by `encoder_id`; without them the words alone are read,
    at about 10,000 short texts/s and .02 less macro-F1. See `for_encoder` where vectors are others.
    """

    emotions: Heads
    """28 outputs in the order of `EMOTIONS`."""
    polarity: Heads
    """One output."""
    thresholds: FloatArray
    """[2, 28] probability from which an emotion counts as there: by words alone, with vectors."""
    encoder_id: str | None = None
    """Encoder whose vectors were trained on, none where there were none."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Licence, sources and measurements, as in the JSON beside the weights."""

    def emotion(self, texts: Sequence[str], vectors: Float32Array | None = None) -> FloatArray:
        """Probability [N, 28] of each emotion in the order of `EMOTIONS`; several may be there.

        Raises:
            ConfigError: The vectors are of another length than those trained on.
        """
        return np.asarray(expit(self.emotions.scores(texts, vectors).astype(np.float64)))

    def sentiment(self, texts: Sequence[str], vectors: Float32Array | None = None) -> FloatArray:
        """Expected polarity [N] in [-1, 1]: -1 all negative, 0 neither or mixed, 1 all positive.

        Raises:
            ConfigError: The vectors are of another length than those trained on.
        """
        scores = self.polarity.scores(texts, vectors)[:, 0]
        return np.asarray(np.tanh(scores.astype(np.float64) / 2))

    def named(self, probability: FloatArray, *, by_words: bool = False) -> list[tuple[str, ...]]:
        """Emotions that are there, likeliest first; the likeliest alone where none is.

        Args:
            probability: [N, 28] from `emotion`.
            by_words: True where `emotion` was given no vectors.
        """
        there = probability >= self.thresholds[0 if by_words else 1]
        there[np.arange(len(there)), probability.argmax(axis=1)] |= ~there.any(axis=1)
        order = np.argsort(-probability, axis=1, kind="stable")
        return [
            tuple(EMOTIONS[label] for label in row if flags[label])
            for row, flags in zip(order, there, strict=True)
        ]

    def for_encoder(self, encoder_id: str) -> "AffectScorer":
        """This scorer where the vectors at hand are `encoder_id`'s, else its words alone.

        The latter takes any vectors and leaves them aside.
        """
        if encoder_id == self.encoder_id:
            return self
        return AffectScorer(
            self.emotions.without_vectors(),
            self.polarity.without_vectors(),
            np.stack([self.thresholds[0]] * 2),
            facts=self.facts,
        )

    def save(self, folder: Path) -> Path:
        """Write weights and facts to a folder, whole or not at all."""
        arrays = {
            **self.emotions.arrays("emotions"),
            **self.polarity.arrays("polarity"),
            "thresholds": self.thresholds,
        }
        return save_weights(folder, NAME, arrays, {**self.facts, "encoder_id": self.encoder_id})

    @classmethod
    def load(cls, folder: Path) -> "AffectScorer":
        """Read what `save` wrote.

        Raises:
            UnknownNameError: The folder holds no such weights.
            ModelHashError: They are not the ones their JSON names.
        """
        arrays, facts = load_weights(folder, NAME)
        return cls(
            Heads.from_arrays(arrays, "emotions"),
            Heads.from_arrays(arrays, "polarity"),
            arrays["thresholds"],
            facts["encoder_id"],
            facts,
        )


def load_scorer(folder: Path | None = None, *, encoder_id: str | None = None) -> AffectScorer:
    """The scorer trained in this home, where `folder` holds one, else the shipped one.

    Args:
        folder: Where this home keeps trained scorers.
        encoder_id: Encoder whose vectors will be given; where the weights were trained on those of
            another, the scorer reads words alone.

    Raises:
        ModelHashError: A file of weights is damaged.
    """
    if folder is not None and (folder / f"{NAME}.json").exists():
        scorer = AffectScorer.load(folder)
    else:
        with resources.as_file(resources.files("rapport.affect")) as shipped:
            scorer = AffectScorer.load(shipped)
    return scorer if encoder_id is None else scorer.for_encoder(encoder_id)
