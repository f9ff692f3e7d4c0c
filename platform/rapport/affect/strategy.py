"""Which arm a reply shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rapport.affect.fitting import Examples, fit_heads
from rapport.affect.heads import Heads
from rapport.affect.linear import Float32Array, one_of
from rapport.affect.weights import load_weights, save_weights
from rapport.errors import TooLittleDataError

FloatArray = NDArray[np.float64]

NAME = "strategy"
_ROWS = 20_000


@dataclass(frozen=True)
class StrategyScorer:
    """Recover the arm of an assistant's reply from its text, by multinomial logistic regression."""

    arms: tuple[str, ...]
    """Names of the A columns."""
    heads: Heads
    accuracy: float
    """Share of the training replies whose arm was recovered by weights fitted without them."""

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        arms: Sequence[str],
        vectors: Float32Array | None = None,
        *,
        seed: int = 0,
    ) -> "StrategyScorer":
        """Learn from N replies and the arm each was given under.

        The columns are the arms that occur, sorted by name. About 10 s for 10,000 replies.

        Args:
            texts: N replies.
            arms: Arm of each.
            vectors: [N, D] of the replies; without them words alone are learned from.
            seed: Deals the folds.

        Raises:
            TooLittleDataError: Fewer than 30 replies or fewer than two arms.
        """
        names = tuple(sorted(set(arms)))
        if len(names) < 2:
            raise TooLittleDataError("arms in the log", len(names), 2)
        label = np.array([names.index(arm) for arm in arms])
        targets = np.eye(len(names), dtype=np.float32)[label]
        fitted = fit_heads(Examples(texts, targets, vectors), loss=one_of, rows=_ROWS, seed=seed)
        accuracy = float((fitted.scores.argmax(axis=1) == label).mean())
        return cls(names, fitted.heads, accuracy)

    def predict(self, texts: Sequence[str], vectors: Float32Array | None = None) -> FloatArray:
        """Probability [N, A] of each arm in the order of `arms`; rows sum to 1.

        Without vectors by words alone.

        Raises:
            ConfigError: The vectors are of another length than those trained on.
        """
        scores = self.heads.scores(texts, vectors).astype(np.float64)
        return np.asarray(softmax(scores, axis=1))

    def save(self, folder: Path, *, name: str = NAME) -> Path:
        """Write weights and arms to a folder, whole or not at all."""
        facts = {"arms": self.arms, "accuracy": self.accuracy}
        return save_weights(folder, name, self.heads.arrays(NAME), facts)

    @classmethod
    def load(cls, folder: Path, *, name: str = NAME) -> "StrategyScorer":
        """Read what `save` wrote.

        Raises:
            UnknownNameError: The folder holds no such weights.
            ModelHashError: They are not the ones their JSON names.
        """
        arrays, facts = load_weights(folder, name)
        return cls(tuple(facts["arms"]), Heads.from_arrays(arrays, NAME), facts["accuracy"])
