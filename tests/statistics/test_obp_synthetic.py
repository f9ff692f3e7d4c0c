"""The Open Bandit Pipeline's own experiment, with our estimators and our reward model."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rapport.evaluation.cross_fitting import cross_fitted, ridge
from rapport.evaluation.estimators import Crossing, Log
from tests.statistics.report import say

PEER = "RAPPORT_OBP_PYTHON"
"""The Python that has obp 0.5.7; how to make one: tests/bench/obp_peer.py."""
RUNS = 20


def made(folder: Path, seed: int) -> dict[str, np.ndarray]:
    path = folder / f"{seed}.npz"
    script = Path(__file__).parents[1] / "bench" / "obp_peer.py"
    command = [os.environ[PEER], str(script), "synthetic", str(path), "--seed", str(seed)]
    environment = {**os.environ, "MPLCONFIGDIR": str(folder)}
    subprocess.run(command, check=True, timeout=120, env=environment, stdout=sys.stderr)
    return dict(np.load(path))


@pytest.mark.slow
@pytest.mark.skipif(PEER not in os.environ, reason=f"{PEER} names no Python that has obp")
def test_the_relative_error_at_ten_thousand_rounds_of_thirty_actions_is_at_most_two_percent(
    tmp_path,
):
    errors: dict[str, list[float]] = {}
    for seed in range(RUNS):
        given = made(tmp_path, seed)
        n = len(given["action"])
        log = Log(given["action"], given["reward"], given["propensity"], np.arange(n))
        crossing = Crossing(
            log, given["target"], cross_fitted(log, given["context"], ridge(arms=30))
        )
        found = {
            "ips": crossing.ips(),
            "snips": crossing.snips(),
            "dm": crossing.direct(),
            "dr": crossing.dr(),
            "sndr": crossing.sndr(),
        }
        for name, terms in found.items():
            errors.setdefault(name, []).append(abs(terms.value / float(given["truth"]) - 1))
    for name, some in errors.items():
        say(f"relative error of {name}: {np.mean(some):.4f} (sd {np.std(some, ddof=1):.4f})")
    for name in ("ips", "snips", "dr"):
        assert np.mean(errors[name]) <= 0.02
