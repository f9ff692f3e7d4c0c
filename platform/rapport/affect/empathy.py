"""Empathy that a reply expresses: EPITOME's three mechanisms, each none, weak or strong.

Trained in a home on the user's own copy of EPITOME; never shipped. It scores what is expressed, by
its words: not whether it is felt, nor whether it is right.

Source: Sharma et al., EMNLP 2020 (2020.emnlp-main.425), for the mechanisms and their levels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rapport.affect.encoders import Encoder, fitting_encoder
from rapport.affect.epitome import MECHANISMS
from rapport.affect.lexical import Csr
from rapport.affect.linear import Float32Array
from rapport.affect.reply_parts import ReplyParts, gather, summed
from rapport.affect.weights import load_weights, save_weights, stands

FloatArray = NDArray[np.float64]
NAME = "empathy"
LEVELS = 3
_OF_SENTENCES = 2 / 3
"""Share of the reading by sentences; of 0, .5, .67 and 1 it had the least log loss."""


@dataclass(frozen=True)
class Reading:
    """Fitted weights of one mechanism."""

    sentence_kept: NDArray[np.int64]
    """Lexical columns of sentences that have weights, ascending."""
    sentence: Float32Array
    """[kept + D + 4 + 1, 3]: words, `ReplyParts.sentences`, intercept."""
    summary: Float32Array
    """[8 + 5 + 1, 3]: cues, what the sentences say, intercept."""
    whole_kept: NDArray[np.int64]
    whole: Float32Array
    """[kept + 8 + D + 1, 3]: words, `ReplyParts.replies`, intercept."""
    factor: NDArray[np.float64]
    """[1] on log probabilities, so that they are calibrated."""
    shift: NDArray[np.float64]
    """[3] taken off log probabilities before a level is chosen: part of the log prior."""

    def logs(self, parts: ReplyParts) -> FloatArray:
        """Log probabilities [N, 3] of the levels, not yet calibrated."""
        told = by_sentence(self.sentence_kept, self.sentence, parts)
        seen = summed(told, parts.owner, replies=len(parts.cues))
        whole = np.column_stack([parts.cues, seen])
        by_parts = softmax(whole @ self.summary[:-1] + self.summary[-1], axis=1)
        scores = linear(self.whole_kept, self.whole, parts.words, parts.replies)
        mixed = _OF_SENTENCES * by_parts + (1 - _OF_SENTENCES) * softmax(scores, axis=1)
        return np.asarray(np.log(np.maximum(mixed, 1e-9)), dtype=np.float64)


@dataclass(frozen=True)
class EmpathyScorer:
    """Score replies to posts; any number of threads may share one."""

    mechanisms: tuple[Reading, ...]
    """In the order of `MECHANISMS`."""
    encoder: Encoder
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Licence, sources and counts, as in the JSON beside the weights."""

    def probabilities(self, posts: Sequence[str], replies: Sequence[str]) -> FloatArray:
        """Calibrated probability [N, 3, 3] of each mechanism's levels none, weak and strong.

        About 100 replies of a few sentences a second on one core.
        """
        if not replies:
            return np.zeros((0, len(MECHANISMS), LEVELS))
        parts = gather(posts, replies, self.encoder)
        told = [softmax(one.factor * one.logs(parts), axis=1) for one in self.mechanisms]
        return np.stack(told, axis=1)

    def levels(self, posts: Sequence[str], replies: Sequence[str]) -> FloatArray:
        """Expected level [N, 3] in [0, 2] of each mechanism."""
        return np.asarray(self.probabilities(posts, replies) @ np.arange(float(LEVELS)))

    def chosen(self, probability: FloatArray) -> NDArray[np.int64]:
        """The level [N, 3] to take, given probabilities [N, 3, 3]."""
        logs = np.log(np.maximum(probability, 1e-12))
        taken = [
            (logs[:, place] / one.factor - one.shift).argmax(axis=1)
            for place, one in enumerate(self.mechanisms)
        ]
        return np.stack(taken, axis=1)

    def save(self, folder: Path) -> Path:
        """Write weights and facts to a folder, whole or not at all."""
        arrays = {
            f"{name}:{part}": array
            for name, one in zip(MECHANISMS, self.mechanisms, strict=True)
            for part, array in vars(one).items()
        }
        facts = {**self.facts, "encoder_id": self.encoder.encoder_id}
        return save_weights(folder, NAME, arrays, facts)


def load_empathy(home: Path, *, encoder: Encoder | None = None) -> EmpathyScorer | None:
    """The scorer trained in a home, none where none was.

    Args:
        home: Folder of the installation.
        encoder: Of the texts; none loads the default one.

    Raises:
        ModelHashError: Its file is damaged.
        ConfigError: It was trained with another encoder.
    """
    folder = home / "models"
    if not stands(folder, NAME):
        return None
    arrays, facts = load_weights(folder, NAME)
    parts = [one.name for one in fields(Reading)]
    mechanisms = (
        Reading(**{part: arrays[f"{name}:{part}"] for part in parts}) for name in MECHANISMS
    )
    return EmpathyScorer(tuple(mechanisms), fitting_encoder(encoder, facts["encoder_id"]), facts)


def by_sentence(kept: NDArray[np.int64], weights: Float32Array, parts: ReplyParts) -> FloatArray:
    """Probability [S, 3] of the level that each sentence shows."""
    scores = linear(kept, weights, parts.sentence_words, parts.sentences)
    return np.asarray(softmax(scores.astype(np.float64), axis=1))


def linear(
    kept: NDArray[np.int64], weights: Float32Array, words: Csr, dense: Float32Array
) -> Float32Array:
    """Scores [M, 3] from words [M, columns] and dense features [M, E]."""
    scores = words[:, kept] @ weights[: len(kept)] + dense @ weights[len(kept) : -1] + weights[-1]
    return np.asarray(scores)
