"""What is read from one message, once: its vector, emotion, sentiment, and whether it is a crisis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.affect.scorers import AffectScorer
from rapport.governance.guard import Guard, Verdict
from rapport.text import TextEncoder


@dataclass(frozen=True)
class Reading:
    """A message as the policy and the router see it."""

    vector: NDArray[np.float32]
    """[D], length 1."""
    emotion: NDArray[np.float64]
    """[28] GoEmotions probabilities."""
    sentiment: float
    """In [-1, 1]."""
    verdict: Verdict


class Reader:
    """Read messages. Holds models only, so any number of threads may share it."""

    def __init__(self, encoder: TextEncoder, scorer: AffectScorer, guard: Guard) -> None:
        self._encoder, self._scorer, self._guard = encoder, scorer, guard

    def read(self, text: str) -> Reading:
        """Read one message: about 10 ms on a CPU, nearly all of it the encoder."""
        vectors = self._encoder.encode([text])
        return Reading(
            vector=vectors[0],
            emotion=self._scorer.emotion([text], vectors)[0],
            sentiment=float(self._scorer.sentiment([text], vectors)[0]),
            verdict=self._guard.check_input([text], vectors)[0],
        )
