"""Short texts embedded: our encoder beside `sentence-transformers`, on the same weights.

    python -m tests.bench.embedding --rounds 3 --texts 300

Needs `pip install -e ".[bench]"`. The texts are messages of the simulator, all different. Ours runs
in bfloat16 where the processor multiplies it; the peer once as it comes (float32) and once told to.
"""

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from rapport.config import ENCODER_URI
from rapport.models import pull
from rapport.simulation import simulate
from rapport.text import TextEncoder, computes_in_bf16
from tests.bench.pairs import in_turn


def main() -> None:
    arguments = _parser().parse_args()
    if importlib.util.find_spec("sentence_transformers") is None:
        told = {"skipped": 'sentence-transformers is not installed: pip install -e ".[bench]"'}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    texts = _messages(arguments.texts)
    encoder = TextEncoder(pull(ENCODER_URI))
    dtypes = {"as it comes": torch.float32}
    if computes_in_bf16(torch.device("cpu")):
        dtypes["in bfloat16"] = torch.bfloat16
    rows = [_row(what, dtype, encoder, texts, arguments.rounds) for what, dtype in dtypes.items()]
    names = ("torch", "transformers", "sentence-transformers")
    facts = {"versions": {name: version(name) for name in names}, "texts": len(texts)}
    sys.stdout.write(json.dumps({**facts, "rows": rows}) + "\n")


def _row(
    what: str, dtype: torch.dtype, encoder: TextEncoder, texts: list[str], rounds: int
) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own affair
        from sentence_transformers import SentenceTransformer

        peer = SentenceTransformer(
            str(pull(ENCODER_URI)), device="cpu", model_kwargs={"dtype": dtype}
        )

    def theirs() -> Any:
        return peer.encode(texts, batch_size=64, show_progress_bar=False, convert_to_numpy=True)

    near = (encoder.encode(texts) * np.asarray(theirs(), dtype=np.float32)).sum(axis=1)
    row = in_turn(
        f"{len(texts)} messages, peer {what}",
        _rate(lambda: encoder.encode(texts), len(texts)),
        _rate(theirs, len(texts)),
        rounds=rounds,
        unit="texts",
    )
    return {**row, "least_cosine": round(float(near.min()), 5)}


def _rate(call: Callable[[], Any], count: int) -> Callable[[], float]:
    def rate() -> float:
        begun = time.perf_counter()
        call()
        return count / (time.perf_counter() - begun)

    return rate


def _messages(count: int) -> list[str]:
    log = simulate(users=count // 10 + 50, turns=20, seed=7).turns
    said = log.filter(role="user", kind="message")["text"].unique(maintain_order=True)
    return said.head(count).to_list()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.embedding")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=300)
    return parser


if __name__ == "__main__":
    main()
