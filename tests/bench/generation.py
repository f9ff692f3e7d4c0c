"""Replies written on this machine: our decoder beside `transformers` and PEFT, on SmolLM2-135M.

    python -m tests.bench.generation --rounds 2 --tokens 16

Greedy replies of the base model beside `generate`; four adapters mixed in one batch beside
`generate` of PEFT's model with the same four. Prints one JSON object: the median rate of each,
their ratio, and the share of replies that come out alike, letter for letter, when both compute in
float32.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rapport.config import LANGUAGE_URI
from rapport.language.loading import best_hardware
from rapport.models import pull
from tests.bench import shapes, writing
from tests.bench.pairs import in_turn

NAMES = ("a", "b", "c", "d")
GREEDY, MIXED = (1, 8), (1, 4, 8)


def main() -> None:
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", FutureWarning)  # PEFT's and transformers' own affair
        model = pull(LANGUAGE_URI)
        adapters = {
            name: shapes.random_adapter(model, Path(folder) / name, seed=place)
            for place, name in enumerate(NAMES)
        }
        rows = [_row(model, {}, batch, arguments) for batch in GREEDY]
        rows += [_row(model, adapters, batch, arguments) for batch in MIXED]
    facts = {
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "dtype": str(best_hardware("cpu").dtype).removeprefix("torch."),
        "threads": arguments.threads,
    }
    sys.stdout.write(json.dumps({**facts, "rows": rows}) + "\n")


def _row(
    model: Path, adapters: Mapping[str, Path], batch: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    hardware, size = best_hardware("cpu"), {"batch": batch, "tokens": arguments.tokens}
    ours = writing.Ours(model, adapters, hardware, **size)
    theirs = writing.Theirs(model, adapters, hardware, **size)
    what = "4 adapters mixed" if adapters else "greedy"
    row = in_turn(
        f"{what}, batch {batch}", ours.rate, theirs.rate, rounds=arguments.rounds, unit="tokens"
    )
    exact = [
        arm(model, adapters, shapes.CPU, **size).texts() for arm in (writing.Ours, writing.Theirs)
    ]
    alike = sum(a == b for a, b in zip(*exact, strict=True)) / batch
    return {**row, "batch": batch, "alike": alike}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.generation")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


if __name__ == "__main__":
    main()
