"""What is read from a message, and from a reply before it leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rapport.affect.languages import readable
from rapport.affect.scorers import AffectScorer
from rapport.affect.strategy import StrategyScorer
from rapport.governance.crisis import sentences
from rapport.governance.guard import Guard, Verdict
from rapport.policy.features import Layout


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
    readable: bool = True
    """Whether affect can be read of its language; where not, it is neutral."""

    def neutral(self) -> "Reading":
        """The message without what it says of its writer's mood."""
        return replace(self, emotion=np.zeros_like(self.emotion), sentiment=0.0)


class Encoder(Protocol):
    """What turns texts into unit vectors, near or behind a handle."""

    encoder_id: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, D] vectors in the order of the texts."""
        ...


class Reader:
    """Read messages and replies. Holds models only, so any number of threads may share it."""

    def __init__(self, encoder: Encoder, scorer: AffectScorer, guard: Guard) -> None:
        self._encoder, self._scorer, self._guard = encoder, scorer, guard

    @property
    def encoder(self) -> Encoder:
        """What turns texts into vectors."""
        return self._encoder

    @property
    def scorer(self) -> AffectScorer:
        """What reads emotion and sentiment."""
        return self._scorer

    def read(self, text: str) -> Reading:
        """Read one message: about 20 ms on a CPU, nearly all of it the encoder.

        The guard looks at each sentence of a long message by itself, which finds more than the
        whole; a short one is its own sentence, whose vector is there already.
        """
        vectors = self._encoder.encode([text])
        whole = sentences(text) == [text]
        (verdict,) = self._guard.check_inputs([text], vectors=vectors if whole else None)
        found = Reading(
            vector=vectors[0],
            emotion=self._scorer.emotion([text], vectors)[0],
            sentiment=float(self._scorer.sentiment([text], vectors)[0]),
            verdict=verdict,
        )
        return found if readable([text])[0] else replace(found.neutral(), readable=False)

    def fault(self, reply: str) -> str | None:
        """Name what keeps a reply from leaving, none where it may."""
        verdict = self._guard.check_output(reply)
        return None if verdict.safe else f"{verdict.kind}:{verdict.rule}"

    def shown(
        self, replies: Sequence[str], strategies: StrategyScorer, layout: Layout
    ) -> NDArray[np.float64]:
        """[M, A] share of each arm that each reply shows, in the columns of the policy."""
        read = strategies.predict(replies, self._encoder.encode(replies))
        shown = np.zeros((len(replies), len(layout.arms)))
        shown[:, layout.arm_index(strategies.arms)] = read
        return shown

    def similarity(self, reading: Reading, replies: Sequence[str]) -> NDArray[np.float64]:
        """[M] cosine similarity of replies to the message they answer."""
        return np.asarray(self._encoder.encode(replies) @ reading.vector, dtype=np.float64)
