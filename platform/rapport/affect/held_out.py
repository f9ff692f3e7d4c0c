"""What scorers said of the rows they were trained on, each by weights fitted without its group.

A group is a post or a dialogue. Kept beside the weights, so that whoever measures a scorer on the
very file it learned from gets what it would have said of it unseen. Rows are known by hash.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import log_softmax

from rapport.affect.weights import facts_of, load_weights, save_weights
from rapport.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FOLDS = 5
STATED = "held_out"
"""Name under which a scorer states the hash of what lies beside it."""


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

    def save(self, folder: Path, scorer: str) -> str:
        """Write beside the weights of a scorer, whole or not at all.

        Returns:
            What the scorer's facts have to state under `STATED`.
        """
        save_weights(folder, held_name(scorer), vars(self), {})
        return str(facts_of(folder, held_name(scorer))["sha256"])

    @classmethod
    def load(cls, folder: Path, scorer: str, facts: Mapping[str, Any]) -> "HeldOut":
        """Read what `save` wrote beside a scorer with these facts.

        Raises:
            UnknownNameError: The folder holds no such file.
            ModelHashError: It is damaged.
            DataError: It was written by another training than the scorer, which was interrupted.
        """
        arrays, own = load_weights(folder, held_name(scorer))
        if facts.get(STATED, own["sha256"]) != own["sha256"]:
            raise DataError(
                f"a training of the {scorer} scorer was stopped while it wrote: what lies beside "
                "it belongs to another",
                f"train again: rapport run train_scorers --force --data {facts.get('data', 'DIR')}",
            )
        return cls(**arrays)


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
