"""What scorers said of the rows they were trained on, each by weights fitted without its group.

A group is a post or a dialogue. Kept beside the weights, so that whoever measures a scorer on the
very file it learned from gets what it would have said of it unseen. Rows are known by hash.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import log_softmax

from rapport.affect.weights import load_weights, save_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """N rows of M scales each."""

    rows: NDArray[np.uint64]
    """[N] hash of each row."""
    groups: IntArray
    """[N] which rows belong together: an interval draws groups."""
    truth: IntArray
    """[N, M] label."""
    probability: FloatArray
    """[N, M, K] of each label."""
    chosen: IntArray
    """[N, M] label that the scorer takes."""
    peer: IntArray
    """[N, M] label that TF-IDF and logistic regression take, fitted on the same folds."""

    def save(self, folder: Path, name: str) -> None:
        """Write to a folder, whole or not at all."""
        save_weights(folder, name, vars(self), {})

    @classmethod
    def load(cls, folder: Path, name: str) -> "HeldOut":
        """Read what `save` wrote.

        Raises:
            UnknownNameError: The folder holds no such file.
            ModelHashError: It is damaged.
        """
        return cls(**load_weights(folder, name)[0])


def held_name(scorer: str) -> str:
    """Name of the file beside a scorer's weights."""
    return f"{scorer}_held_out"


def row_hash(*parts: str) -> int:
    """64 bits that name a row by its texts."""
    whole = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big")


def folds_of(groups: IntArray, *, seed: int) -> IntArray:
    """Fold [N] of each row; rows of a group share one. Groups are numbered from 0."""
    dealt = np.random.default_rng(seed).permutation(int(groups.max()) + 1) % FOLDS
    return np.asarray(dealt[groups])


def splits(fold: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows to train on and rows held out, fold by fold."""
    for index in range(FOLDS):
        yield np.flatnonzero(fold != index), np.flatnonzero(fold == index)


def tempered(scores: FloatArray, truth: IntArray) -> float:
    """Factor on scores [N, K] under which their softmax is likeliest, in [.1, 10]."""

    def loss(log_factor: float) -> float:
        logs = log_softmax(np.exp(log_factor) * scores, axis=1)
        return float(-logs[np.arange(len(truth)), truth].mean())

    bounds = (np.log(0.1), np.log(10.0))
    return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x))
