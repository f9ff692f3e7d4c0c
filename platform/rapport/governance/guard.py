"""The guard: is a person in crisis, and may this reply leave."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rapport.governance.crisis import CrisisModel, crisis_reply, crisis_rule, sentences, takes_back
from rapport.governance.replies import fault
from rapport.governance.verdicts import SAFE, Verdict

if TYPE_CHECKING:  # the rules alone must not cost an import of torch
    from rapport.text import TextEncoder

__all__ = ["Guard", "Verdict", "crisis_reply"]

MODEL_WORDS = 3
"""Shorter texts say too little for their vector to be judged."""


class Guard:
    """Check what people write and what they are answered.

    Rules alone find what is said in words; with an encoder the model finds what is implied too.
    Threads may share it.
    """

    def __init__(self, encoder: "TextEncoder | None" = None) -> None:
        self._encoder = encoder
        self._model = CrisisModel(encoder) if encoder else None

    def check_input(self, text: str) -> Verdict:
        """Whether a person's message speaks of a crisis: kind `safe` or `crisis`."""
        return self.check_inputs([text])[0]

    def check_inputs(
        self, texts: Sequence[str], *, vectors: NDArray[np.float32] | None = None
    ) -> list[Verdict]:
        """Check N messages, rules first.

        Args:
            texts: N messages.
            vectors: Their unit vectors [N, D] by the guard's encoder, if they are there already:
                nothing is encoded then, and a long message is judged whole. Without them its
                sentences are judged one by one, which finds more.
        """
        rules = [crisis_rule(text) for text in texts]
        verdicts = [Verdict("crisis", rule) if rule else SAFE for rule in rules]
        left = [i for i, rule in enumerate(rules) if not rule]
        for index in self._implied(texts, left=left, vectors=vectors):
            verdicts[index] = Verdict("crisis", "model")
        return verdicts

    def check_output(self, text: str) -> Verdict:
        """Whether a reply may leave; the worst kind of fault wins. The crisis reply is exempt."""
        return fault(text)

    def _implied(
        self, texts: Sequence[str], *, left: Sequence[int], vectors: NDArray[np.float32] | None
    ) -> set[int]:
        if not self._model or not self._encoder:
            return set()
        pieces = [
            (i, piece)
            for i in left
            for piece in (sentences(texts[i]) if vectors is None else [texts[i]])
            if len(piece.split()) >= MODEL_WORDS
        ]
        if not pieces:
            return set()
        if vectors is None:
            vectors = self._encoder.encode([piece for _, piece in pieces])
        else:
            vectors = vectors[[i for i, _ in pieces]]
        hits = zip(pieces, self._model.slack(vectors) > 0, strict=True)
        # Words of crisis that are denied draw the vector near, so the rules' word stands.
        return {i for (i, piece), hit in hits if hit and not takes_back(piece)}
