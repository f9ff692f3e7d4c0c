"""The cost of one decision without an encoder: 32 candidates of 256 features, beside VW's predict.

    RAPPORT_VW_PYTHON=vw/bin/python python -m tests.bench.decision

Ours goes from what is known of the user and the shares of the texts to the drawn candidate: the
state, three networks, the product, exact probabilities and the draw. Vowpal Wabbit's predicts on
the same features laid out, once from text and once from parsed examples. Both take turns in blocks;
the times of all single decisions are pooled. The peer's environment is made as
tests/bench/vw_peer.py says; without it the benchmark is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rapport.policy.behaviour import Behaviour, draw
from rapport.policy.features import (
    EMOTION_GROUPS,
    NO_ARM,
    Layout,
    Situation,
    feature_matrix,
    states,
)
from rapport.policy.policy import Policy
from rapport.policy.reward_model import FOLDS, RewardModel

PEER = "RAPPORT_VW_PYTHON"
CANDIDATES, FEATURES, HIDDEN, PERSONAS = 32, 256, 32, 15
WAYS = ("text", "parsed")


class Deciding:
    """A policy of 256 columns and one decision for it."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        layout = Layout.of([f"persona-{i}" for i in range(PERSONAS)])
        assert layout.size == FEATURES
        self.situation = Situation(
            posterior=rng.dirichlet(np.ones(PERSONAS), 1),
            n_eff=np.array([3.0]),
            sentiment=np.array([0.1]),
            curve=np.array([0.1]),
            emotion=rng.random((1, len(EMOTION_GROUPS))),
            turn_index=np.array([2]),
            agent=np.array([0]),
            previous_arm=np.array([NO_ARM]),
            message=np.zeros((1, 384), dtype=np.float32),
        )
        shapes = {
            "linear": (FOLDS, FEATURES),
            "bias": (FOLDS,),
            "hidden": (FOLDS, FEATURES, HIDDEN),
            "hidden_bias": (FOLDS, HIDDEN),
            "out": (FOLDS, HIDDEN),
        }
        weights = {n: rng.normal(0, 0.05, shape).astype(np.float32) for n, shape in shapes.items()}
        model = RewardModel(layout, weights)
        self.policy = Policy(layout, Behaviour(1, 8, 0.5, 0.1), "reward_model", scorer=model)
        self.shares = rng.dirichlet(np.ones(len(layout.arms)), CANDIDATES).astype(np.float32)
        self.nlp = rng.uniform(0.05, 0.95, (1, CANDIDATES))
        self.safe = np.ones((1, CANDIDATES), dtype=bool)

    def once(self) -> int:
        """The place of the candidate that is drawn."""
        scores = self.policy.rank(self.situation, self.nlp, shares=self.shares, safe=self.safe)
        return draw(scores.probability[0], 7)

    def keep(self, folder: Path) -> None:
        """The same features laid out, for the peer: 256 numbers a candidate."""
        layout = self.policy.layout
        x = feature_matrix(layout, states(layout, self.situation), self.shares)
        empty = np.zeros((1, 0))
        mask = np.ones((1, CANDIDATES), dtype=bool)
        parts: dict[str, Any] = {"state": empty, "crossing": empty, "shares": x, "mask": mask}
        for name, value in parts.items():
            np.save(folder / f"{name}.npy", value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decision")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--block", type=int, default=500)
    arguments = parser.parse_args()
    if PEER not in os.environ:
        sys.stdout.write(json.dumps({"skipped": f"{PEER} names no Python that has VW"}) + "\n")
        return
    deciding = Deciding()
    with tempfile.TemporaryDirectory() as folder:
        deciding.keep(Path(folder))
        script = str(Path(__file__).with_name("vw_peer.py"))
        with subprocess.Popen(
            [os.environ[PEER], script, "turns", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as peer:
            rows = _beside(deciding, peer, rounds=arguments.rounds, block=arguments.block)
    said = {"numpy": version("numpy"), "vowpalwabbit": "9.11.9"}
    sys.stdout.write(json.dumps({"versions": said, "rows": rows}) + "\n")


def _beside(
    deciding: Deciding, peer: "subprocess.Popen[str]", *, rounds: int, block: int
) -> list[dict[str, Any]]:
    assert peer.stdin is not None
    assert peer.stdout is not None
    ours: list[float] = []
    theirs: dict[str, list[float]] = {way: [] for way in WAYS}
    _timed(deciding, block)  # to warm up
    for _ in range(rounds):
        ours += _timed(deciding, block)
        for way in WAYS:
            peer.stdin.write(f"{way} {block}\n")
            peer.stdin.flush()
            theirs[way] += json.loads(peer.stdout.readline())
    return [_row(way, ours, theirs[way]) for way in WAYS]


def _timed(deciding: Deciding, block: int) -> list[float]:
    took = []
    for _ in range(block):
        begun = time.perf_counter()
        deciding.once()
        took.append(time.perf_counter() - begun)
    return took


def _row(way: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    figures = {
        f"{whose}_{name}_ms": round(float(np.quantile(took, at)) * 1e3, 4)
        for whose, took in (("ours", ours), ("theirs", theirs))
        for name, at in (("p50", 0.5), ("p99", 0.99))
    }
    ratio = figures["theirs_p50_ms"] / figures["ours_p50_ms"]
    what = f"{CANDIDATES} candidates of {FEATURES} features, theirs {way}"
    return {"what": what, "n": len(ours), **figures, "ratio": round(ratio, 3)}


if __name__ == "__main__":
    main()
