"""The study of a policy search: its trials on disk as they finish, so that none is run twice."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rapport.cluster.trials import LearnerSettings, Trial, from_json, to_json
from rapport.pipeline.job import code_version
from rapport.policy.dataset import PolicyDataset
from rapport.scratch import replace_text

STUDY_FILE = "study.json"


class Study:
    """Finished trials of the proposals of one search, kept in `<folder>/study.json`.

    A study of other data, another seed or other code in the same folder is replaced; trials of
    settings that are no longer proposed are dropped, those that still are count as run.
    """

    def __init__(self, folder: Path, *, key: str, proposed: Sequence[LearnerSettings]) -> None:
        self.folder, self._key = folder, key
        self._places = {settings.model_dump_json(): i for i, settings in enumerate(proposed)}
        self._trials = self._read()

    @property
    def waiting(self) -> list[int]:
        """Places of the proposals that were not run yet."""
        return [place for place in self._places.values() if place not in self._trials]

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """Finished trials, best first; of equals the one proposed first."""
        places = sorted(self._trials, key=lambda place: (-self._trials[place].value, place))
        return tuple(self._trials[place] for place in places)

    def add(self, trial: Trial) -> None:
        """Keep a finished trial; the file is replaced at once."""
        self._trials[self._places[trial.settings.model_dump_json()]] = trial
        self._write(policy=None)

    def close(self, policy: str) -> None:
        """Note which policy came of it."""
        self._write(policy=policy)

    def _read(self) -> dict[int, Trial]:
        path = self.folder / STUDY_FILE
        if not path.exists():
            return {}
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.get("key") != self._key:
            return {}
        trials = [from_json(entry) for entry in kept["trials"]]
        placed = [(self._places.get(trial.settings.model_dump_json()), trial) for trial in trials]
        return {place: trial for place, trial in placed if place is not None}

    def _write(self, *, policy: str | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {
            "key": self._key,
            "policy": policy,
            "planned": len(self._places),
            "trials": [to_json(trial) for trial in self.ranked],
        }
        replace_text(self.folder / STUDY_FILE, json.dumps(kept, indent=1) + "\n")


def study_key(data: PolicyDataset, *, seed: int) -> str:
    """sha256 over the data, seed and code a trial follows from; the order of rows is no part."""
    digest = hashlib.sha256(f"{code_version()}\x1e{seed}\x1e{data.layout}\x1e".encode())
    order = np.argsort(data.decision_id)
    columns = (
        data.decision_id, data.user, data.action, data.propensity, data.probabilities,
        data.reward, data.mask, data.safe, data.explore, data.states, data.context,
    )  # fmt: skip
    for column in columns:
        digest.update(np.ascontiguousarray(column[order]).tobytes() + b"\x1e")
    return digest.hexdigest()
