"""Off-policy estimates of a million rows of ten actions, beside the Open Bandit Pipeline's.

    RAPPORT_OBP_PYTHON=obp/bin/python python -m tests.bench.estimators --rounds 5

Both hold the same arrays in memory and take turns, each in a process of its own: seven point
estimates, then the intervals of seven estimators from 200 resamples, theirs of rows, ours of
100,000 users. `everything` is ours alone: all eight estimators with cuts chosen from the log,
diagnostics and 200 resamples, with its seconds and the peak memory of the process. The peer's
environment is made as tests/bench/obp_peer.py says; without it the benchmark is left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rapport.evaluation import Bootstrap, Cuts, Log, valuation
from rapport.evaluation.estimators import Crossing
from rapport.evaluation.intervals import estimates
from rapport.evaluation.valuation import every_terms
from tests.bench.pairs import in_turn

PEER = "RAPPORT_OBP_PYTHON"
ROWS, ACTIONS, USERS, RESAMPLES = 1_000_000, 10, 100_000, 200
CUTS = Cuts(clip=5.0, threshold=2.0)
"""As in tests/bench/obp_peer.py."""
SHARED = ("ips", "clipped", "snips", "dm", "dr", "sndr", "switch_dr")


def main() -> None:
    arguments = _parser().parse_args()
    if PEER not in os.environ:
        sys.stdout.write(json.dumps({"skipped": f"{PEER} names no Python that has obp"}) + "\n")
        return
    arrays = _arrays(arguments.rows)
    everything = _everything(arrays)
    with tempfile.TemporaryDirectory() as folder:
        for name, array in arrays.items():
            np.save(f"{folder}/{name}.npy", array)
        rows = _beside(arrays, Path(folder), arguments.rounds)
    said = {"numpy": version("numpy"), "obp": "0.5.7"}
    sys.stdout.write(json.dumps({"versions": said, "everything": everything, "rows": rows}) + "\n")


def _arrays(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    logging = rng.dirichlet(np.ones(ACTIONS), size=rows) * 0.9 + 0.1 / ACTIONS
    action = (logging.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    q_hat = rng.random((rows, ACTIONS))
    taken = np.arange(rows), action
    return {
        "action": action,
        "propensity": logging[taken],
        "reward": (rng.random(rows) < q_hat[taken]).astype(np.float64),
        "target": rng.dirichlet(np.ones(ACTIONS), size=rows),
        "q_hat": q_hat,
    }


def _log(arrays: dict[str, Any]) -> Log:
    user = np.arange(len(arrays["action"])) % USERS
    return Log(arrays["action"], arrays["reward"], arrays["propensity"], user)


def _everything(arrays: dict[str, Any]) -> dict[str, float]:
    begun = time.perf_counter()
    valuation(_log(arrays), arrays["target"], arrays["q_hat"], by=Bootstrap(RESAMPLES))
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": round(seconds, 2), "peak_gib": round(peak, 2)}


def _beside(arrays: dict[str, Any], folder: Path, rounds: int) -> list[dict[str, Any]]:
    log, target, q_hat = _log(arrays), arrays["target"], arrays["q_hat"]
    script = Path(__file__).with_name("obp_peer.py")
    command = [os.environ[PEER], str(script), "turns", str(folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MPLCONFIGDIR": str(folder)},
    ) as peer:
        ask = _asked(peer)

        def points() -> dict[str, float]:
            terms = every_terms(Crossing(log, target, q_hat), CUTS)
            return {name: terms[name].value for name in SHARED}

        def intervals() -> None:
            terms = every_terms(Crossing(log, target, q_hat), CUTS)
            estimates([terms[name] for name in SHARED], Bootstrap(RESAMPLES))

        theirs = ask("points")["values"]
        assert all(abs(theirs[name] - value) < 1e-9 for name, value in points().items())
        return [
            in_turn(
                "seven point estimates",
                _rate(points, len(log)),
                lambda: len(log) / ask("points")["seconds"],
                rounds=rounds,
                unit="rows",
            ),
            in_turn(
                f"seven intervals of {RESAMPLES} resamples",
                _rate(intervals, len(log)),
                lambda: len(log) / ask(f"bootstrap {RESAMPLES}")["seconds"],
                rounds=max(1, rounds // 2),
                unit="rows",
            ),
        ]


def _asked(peer: "subprocess.Popen[str]") -> Callable[[str], dict[str, Any]]:
    def ask(line: str) -> dict[str, Any]:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(line + "\n")
        peer.stdin.flush()
        answer: dict[str, Any] = json.loads(peer.stdout.readline())
        return answer

    return ask


def _rate(work: Callable[[], object], rows: int) -> Callable[[], float]:
    def rate() -> float:
        begun = time.perf_counter()
        work()
        return rows / (time.perf_counter() - begun)

    return rate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.estimators")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=ROWS)
    return parser


if __name__ == "__main__":
    main()
