"""Which arm a reply shows, told by the menu alone: for logs that name no arms.

Every arm's exemplars, approved replies and instruction are a few labelled sentences; their words
and letters (`lexical`) beside their MiniLM vectors teach a logistic regression. Words carry the
form of a reply and vectors its sense: on the simulator either alone names .63-.82 of the arms
right, both together .84-.88.

Where a log names arms, `StrategyScorer` learns from it and is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rapport.affect.lexical import lexical
from rapport.arms import Menu
from rapport.text import TextEncoder

_REGULARISATION = 30.0
"""Of 10 and 30 the one whose probabilities spread; the arm named first is the same."""

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class ExemplarScorer:
    """Recognise the served arms of one menu."""

    arms: tuple[str, ...]
    """Names of the A columns, in menu order."""
    model: Any

    @classmethod
    def of(cls, menu: Menu, encoder: TextEncoder) -> "ExemplarScorer":
        """Learn from a menu; under a second."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (seconds to import)

        taught = [
            (place, text)
            for place, arm in enumerate(menu.served)
            for text in (arm.instruction, *arm.exemplars, *arm.replies)
        ]
        texts = [text for _, text in taught]
        model = LogisticRegression(C=_REGULARISATION, max_iter=1000)
        model.fit(_features(texts, encoder.encode(texts)), [place for place, _ in taught])
        return cls(tuple(arm.name for arm in menu.served), model)

    def predict(self, texts: Sequence[str], vectors: Float32Array) -> FloatArray:
        """Probability [N, A] of each arm; rows sum to 1.

        Args:
            texts: N replies.
            vectors: [N, D] of them, by the encoder it learned with.
        """
        if not texts:
            return np.zeros((0, len(self.arms)))
        return np.asarray(self.model.predict_proba(_features(texts, vectors)))


def _features(texts: Sequence[str], vectors: Float32Array) -> sparse.csr_matrix:
    whole = sparse.hstack([lexical(texts), sparse.csr_matrix(vectors)], format="csr")
    return whole.astype(np.float64)
