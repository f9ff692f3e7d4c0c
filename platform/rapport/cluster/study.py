"""Finished trials of a search, kept one by one, so that none is tried twice after a crash."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rapport.cluster.trials import LearnerSettings, Trial, from_json, to_json
from rapport.policy.learn import Bench
from rapport.scratch import clear_stale, replace_text


class Study:
    """Trials on one bench with one seed; those on other data lie beside and do not count.

    Args:
        folder: Where studies lie; made if missing.
        bench: What is tried on.
        seed: Of the fits.
    """

    def __init__(self, folder: Path, bench: Bench, *, seed: int) -> None:
        self.folder = folder
        self._kept = folder / f"trials-{_digest(bench, seed)}"
        self._kept.mkdir(parents=True, exist_ok=True)
        clear_stale(self._kept)

    def keep(self, trial: Trial) -> None:
        """Write a finished trial, whole or not at all."""
        text = json.dumps(to_json(trial), sort_keys=True)
        name = hashlib.sha256(trial.settings.model_dump_json().encode()).hexdigest()[:16]
        replace_text(self._kept / f"{name}.json", text + "\n")

    def trials(self) -> list[Trial]:
        """Every trial kept so far."""
        return [
            from_json(json.loads(path.read_text(encoding="utf-8")))
            for path in sorted(self._kept.glob("*.json"))
        ]

    def finished(self, proposed: Sequence[LearnerSettings]) -> list[LearnerSettings]:
        """Those of the proposed settings that were tried already."""
        tried = [trial.settings for trial in self.trials()]
        return [settings for settings in proposed if settings in tried]


def _digest(bench: Bench, seed: int) -> str:
    """16 digits of sha256 over the decisions of a bench, and the seed."""
    whole = hashlib.sha256(str(seed).encode())
    _feed(whole, (bench.train, bench.tune))
    return whole.hexdigest()[:16]


def _feed(whole: Any, value: Any) -> None:  # noqa: ANN401  (a hash, and any field of a bench)
    if isinstance(value, np.ndarray) and value.dtype != object:
        whole.update(str((value.dtype, value.shape)).encode())
        whole.update(np.ascontiguousarray(value).data)
    elif isinstance(value, np.ndarray):
        _feed(whole, value.tolist())
    elif is_dataclass(value):
        for field in fields(value):
            _feed(whole, getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for each in value:
            _feed(whole, each)
    else:
        whole.update(repr(value).encode())
