"""Vowpal Wabbit on a log of ours, asked through its own environment."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import crossing

PEER = "RAPPORT_VW_PYTHON"
MISSING = f"{PEER} names no Python that has Vowpal Wabbit, see tests/bench/vw_peer.py"
SCRIPT = Path(__file__).parents[1] / "bench" / "vw_peer.py"
GRID = tuple(
    {"arguments": f"--cb_type {kind} --learning_rate {rate} -q ca", "passes": passes}
    for kind, rate, passes in product(("mtr", "dr"), (0.02, 0.1, 0.5), (1, 3))
)
"""Both estimates, three learning rates, one and three passes."""


def vowpal(
    log: PolicyDataset, asked: PolicyDataset, grid: Sequence[Mapping[str, Any]] = GRID
) -> list[NDArray[np.float64]]:
    """[N, M] probabilities of `asked` by every entry of the grid, learnt from `log`.

    It gets the columns of `feature_matrix`: what is shared, what is crossed and what a candidate
    is, crossed by its own `-q ca`; with them the message vector, which of ours only the context
    model reads; rewards as costs; and the logged probabilities.
    """
    log = log.rows(log.reported)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for prefix, data in (("train_", log), ("test_", asked)):
            for part, value in _parts(data).items():
                np.save(folder / f"{prefix}{part}.npy", value)
        (folder / "grid.json").write_text(json.dumps(list(grid)), encoding="utf-8")
        subprocess.run([os.environ[PEER], str(SCRIPT), "learn", name], check=True)
        return list(np.load(folder / "probabilities.npy"))


def greedy(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, M] all on the likeliest."""
    return np.asarray(np.eye(probability.shape[1])[probability.argmax(axis=1)])


def _parts(data: PolicyDataset) -> dict[str, NDArray[Any]]:
    arms = np.eye(len(data.layout.arms), dtype=np.float32)
    shares = np.broadcast_to(arms, (len(data), *arms.shape)) if data.shares is None else data.shares
    return {
        "state": data.states,
        "crossing": np.concatenate([crossing(data.layout, data.states), data.context], axis=1),
        "shares": shares,
        "mask": data.mask,
        "action": data.action,
        "reward": data.reward,
        "propensity": data.propensity,
    }
