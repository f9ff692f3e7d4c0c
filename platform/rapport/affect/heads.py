"""K linear scores of a text: what its words say, and what its vector adds to that.

The two layers are fitted one after the other, so a text without a vector still has scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.affect.lexical import COLUMNS, Csr, lexical
from rapport.affect.linear import Float32Array
from rapport.errors import ConfigError

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Heads:
    """Fitted weights of both layers; immutable, so any number of threads may share one."""

    kept: IntArray
    """R lexical columns that have weights, ascending."""
    lexical: NDArray[np.int8]
    """[R, K], times `scale`."""
    scale: Float32Array
    """[K] step of the quantisation."""
    intercept: Float32Array
    """[2, K]: of the lexical layer, and what the vector layer adds."""
    vector: Float32Array
    """[D, K]; D is 0 where none was fitted."""

    def scores(self, texts: Sequence[str], vectors: Float32Array | None = None) -> Float32Array:
        """Score N texts [N, K]; without vectors by the lexical layer alone.

        About 10,000 short texts/s on one core. Vectors are ignored where no layer was fitted.

        Raises:
            ConfigError: The vectors are of another length than those fitted on.
        """
        found = self.lexical_scores(lexical(texts, kept=self.kept))
        if vectors is None or not len(self.vector):
            return found
        if vectors.shape != (len(texts), len(self.vector)):
            wanted = (len(texts), len(self.vector))
            raise ConfigError(
                "shape of the vectors", vectors.shape, f"{wanted} is needed: use their encoder"
            )
        return found + self.vector_scores(vectors)

    def lexical_scores(self, features: Csr) -> Float32Array:
        """Scores [N, K] of the lexical layer from its kept columns [N, R]."""
        return np.asarray(features @ (self.lexical * self.scale) + self.intercept[0])

    def vector_scores(self, vectors: Float32Array) -> Float32Array:
        """What vectors [N, D] add to the lexical scores: [N, K]."""
        return np.asarray(vectors @ self.vector + self.intercept[1])

    def without_vectors(self) -> "Heads":
        """The lexical layer alone."""
        return replace(self, vector=self.vector[:0])

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Arrays to save, named `<prefix>.<part>`; the kept columns become a bitmap of 32 KiB."""
        flags = np.zeros(COLUMNS, dtype=bool)
        flags[self.kept] = True
        parts = {**vars(self), "kept": np.packbits(flags)}
        return {f"{prefix}.{name}": array for name, array in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> "Heads":
        """Rebuild from `arrays`; those of other prefixes are left aside."""
        parts = {field.name: arrays[f"{prefix}.{field.name}"] for field in fields(cls)}
        return cls(**{**parts, "kept": np.flatnonzero(np.unpackbits(parts["kept"])[:COLUMNS])})
