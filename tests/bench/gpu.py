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
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, get_args

import peft
import torch
import transformers

from rapport.config import Device
from rapport.language.loading import Hardware, best_hardware
from tests.bench import exactness, shapes, writing
from tests.bench.learning import Learning

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
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
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
    ours = writing.engine(model, adapters, hardware, batch=batch, tokens=arguments.tokens)
    theirs = writing.plain(model, hardware, batch=batch, tokens=arguments.tokens)
    return {
        "what": f"written, batch {batch}",
        "batch": batch,
        **_in_turn(ours, theirs, arguments.rounds, hardware.device),
    }


def _trained(
    model: Path, hardware: Hardware, batch_tokens: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    tokens = max(arguments.train_tokens, arguments.train_steps * batch_tokens)
    learning = Learning(model, hardware, batch_tokens=batch_tokens, tokens=tokens)
    return {
        "what": f"trained, {batch_tokens} tokens a step",
        **_in_turn(learning.ours, learning.theirs, arguments.rounds, hardware.device),
    }


def _in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int, device: torch.device
) -> dict[str, Any]:
    """Median tokens a second of each, and the median ratio; ours and theirs take turns."""
    ours(), theirs()  # to warm up
    peak = _peak(device, ours), _peak(device, theirs)
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return {
        "n": rounds,
        "ours_tokens_s": round(median(a for a, _ in pairs), 1),
        "theirs_tokens_s": round(median(b for _, b in pairs), 1),
        "ratio": round(median(a / b for a, b in pairs), 3),
        "ours_peak_mib": peak[0],
        "theirs_peak_mib": peak[1],
    }


def _peak(device: torch.device, call: Callable[[], float]) -> int | None:
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
