"""The engine and the training loop on a GPU: right, and how fast beside the plain libraries.

    python -m tests.bench gpu            random weights in SmolLM2-135M's shape
    python -m tests.bench.gpu --model DIR --device cuda

Needs torch, transformers, peft and pydantic, and none of Ray, polars or DuckDB. Arms take turns in
one run. Prints one JSON object: tokens a second written with several adapters mixed in one batch
beside `transformers.generate` of the bare model with none; tokens a second trained beside a plain
loop over PEFT and AdamW; peak memory; and how far apart are a mixed batch and its rows one by one,
and an adapter and the weights it is merged into.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, get_args

import peft
import torch
import transformers

from rapport.config import Device
from rapport.language.loading import Hardware, best_hardware
from tests.bench import exactness, shapes, writing
from tests.bench.learning import Learning
from tests.bench.pairs import Arm, in_turn

ADAPTERS = ("a", "b", "c", "d", "e", "f", "g", "h")
TOLERANCE = 0.01
"""Nats that equal log probabilities may be apart in float32."""
TRAINED = {"cpu": (200,), "cuda": (200, 4096, 16384)}
"""Tokens a step that are timed."""


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.device == "auto" and not torch.cuda.is_available():
        sys.stdout.write(json.dumps({"skipped": "this machine has no GPU; --device cpu"}) + "\n")
        return
    hardware = best_hardware(arguments.device)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT's and transformers' own affair
        found = _measured(arguments, hardware, Path(folder))
    sys.stdout.write(json.dumps(found) + "\n")
    exact = found["exactness"]["float32"]
    if max(exact["mixed"]["most"], exact["merged"]["most"]) > TOLERANCE:
        sys.exit(f"what should be equal is {exact} nats apart, over {TOLERANCE}")


def _measured(arguments: argparse.Namespace, hardware: Hardware, folder: Path) -> dict[str, Any]:
    model = arguments.model or shapes.random_model(folder / "model")
    adapters = {
        name: shapes.random_adapter(model, folder / name, seed=place, alpha=arguments.alpha)
        for place, name in enumerate(ADAPTERS[: arguments.adapters])
    }
    told = exactness.gaps(model, adapters, hardware.device)
    rows = [_written(model, adapters, hardware, batch, arguments) for batch in arguments.batches]
    rows += [
        _trained(model, hardware, batch_tokens, arguments)
        for batch_tokens in TRAINED[hardware.device.type]
    ]
    return {
        "device": _name(hardware.device),
        "dtype": str(hardware.dtype).removeprefix("torch."),
        "model": "given" if arguments.model else "random weights, sizes of SmolLM2-135M",
        "versions": {each.__name__: each.__version__ for each in (torch, transformers, peft)},
        "adapters": len(adapters),
        "exactness": told,
        "rows": rows,
    }


def _written(
    model: Path,
    adapters: dict[str, Path],
    hardware: Hardware,
    batch: int,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    size = {"batch": batch, "tokens": arguments.tokens}
    ours = writing.Ours(model, adapters, hardware, **size)
    theirs = writing.Theirs(model, {}, hardware, **size)
    row = _in_turn(f"written, batch {batch}", ours.rate, theirs.rate, arguments.rounds, hardware)
    return {**row, "batch": batch}


def _trained(
    model: Path, hardware: Hardware, batch_tokens: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    tokens = max(arguments.train_tokens, arguments.train_steps * batch_tokens)
    learning = Learning(model, hardware, batch_tokens=batch_tokens, tokens=tokens)
    what = f"trained, {batch_tokens} tokens a step"
    return _in_turn(what, learning.ours, learning.theirs, arguments.rounds, hardware)


def _in_turn(what: str, ours: Arm, theirs: Arm, rounds: int, hardware: Hardware) -> dict[str, Any]:
    row = in_turn(what, ours, theirs, rounds=rounds, unit="tokens")
    arms = {"ours": ours, "theirs": theirs}
    return {**row, **{f"{who}_peak_mib": _peak(hardware.device, arm) for who, arm in arms.items()}}


def _peak(device: torch.device, call: Arm) -> int | None:
    """MiB of the GPU's memory at most, both arms' weights included; none on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    call()
    return round(torch.cuda.max_memory_allocated() / 2**20)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    parser.add_argument("--model", type=Path, help="folder in Hugging Face layout; default random")
    parser.add_argument("--device", choices=get_args(Device), default="auto")
    parser.add_argument("--batches", type=_numbers, default=(1, 8, 32, 128))
    parser.add_argument("--adapters", type=int, default=len(ADAPTERS))
    parser.add_argument("--alpha", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train-tokens", type=int, default=10_000)
    parser.add_argument("--train-steps", type=int, default=12)
    return parser


if __name__ == "__main__":
    main()
