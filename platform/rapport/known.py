"""Which keys were seen before, among more than fit in memory."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

HashArray = NDArray[np.uint64]

HELD_KEYS = 4_000_000
"""Keys held in memory, at 16 bytes each; those beyond lie in a temporary file that is mapped."""
_SEEDS = (1, 2)


class KnownKeys:
    """A growing set of keys by their 128-bit hash: 16 bytes a key, whatever its columns.

    Keys lie in sorted runs that are merged while they are small, so that n keys in chunks cost
    O(n log n) to add and O(log n) a run to look up. Two different keys are taken for one with a
    chance of 2^-128 a pair; a key whose first 64 bits meet another's may be forgotten, so that
    `holds` can err towards "not known". Not thread-safe; hashes mean nothing to another process.
    """

    def __init__(self, *, held: int = HELD_KEYS) -> None:
        self._held = held
        self._runs: list[HashArray] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def add(self, keys: pl.DataFrame) -> None:
        """Take in keys, one a row."""
        if keys.is_empty():
            return
        run = _sorted(_hashes(keys))
        while self._runs and self._mergeable(run):
            run = _sorted(np.hstack([self._runs.pop(), run]))
        self._runs.append(run if run.shape[1] < self._held else self._spilled(run))

    def holds(self, keys: pl.DataFrame) -> NDArray[np.bool_]:
        """Whether each key [N] was added."""
        wanted = _hashes(keys)
        found = np.zeros(keys.height, np.bool_)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run[0], wanted[0]), run.shape[1] - 1)
            found |= (run[0, place] == wanted[0]) & (run[1, place] == wanted[1])
        return found

    def __len__(self) -> int:
        return sum(run.shape[1] for run in self._runs)

    def _mergeable(self, run: HashArray) -> bool:
        last = self._runs[-1].shape[1]
        return bool(last <= 2 * run.shape[1] and last < self._held)

    def _spilled(self, run: HashArray) -> HashArray:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="rapport-keys-")
        file = Path(self._folder.name) / f"{len(self._runs)}.npy"
        np.save(file, run)
        mapped: HashArray = np.load(file, mmap_mode="r")
        return mapped


def _hashes(keys: pl.DataFrame) -> HashArray:
    """[2, N]: two hashes of each row."""
    return np.stack([keys.hash_rows(seed).to_numpy() for seed in _SEEDS])


def _sorted(run: HashArray) -> HashArray:
    return run[:, np.lexsort(run[::-1])]
