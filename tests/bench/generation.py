"""Tokens a second with four adapters mixed in one batch: our decoder against PEFT's.

    python -m tests.bench.generation --rounds 3 --tokens 40

The two take turns on the same machine, so that what else runs there slows both; the ratio is what
counts. Prints one JSON object: the median rate of each at every batch size, and their ratio.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from rapport.arms import load_menu
from rapport.config import LANGUAGE_URI
from rapport.language.adaptation import MODULES, write_adapter
from rapport.language.engine import GenerationRequest, complete
from rapport.language.loading import load_language_model
from rapport.language.prompts import Message, build, encode
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull

NAMES = ("a", "b", "c", "d")
BATCHES = (1, 4, 8)
SAID = "My sister called again and I feel torn about what I should tell her this time."


def main() -> None:
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", FutureWarning)
        model = pull(LANGUAGE_URI)
        adapters = {name: _random_adapter(model, Path(folder) / name) for name in NAMES}
        ours = _ours(model, adapters, arguments.tokens)
        theirs = _theirs(model, adapters, arguments.tokens)
        rows = [_row(batch, arguments.rounds, ours, theirs) for batch in BATCHES]
    facts = {"machine": platform.processor(), "threads": arguments.threads, "rows": rows}
    sys.stdout.write(json.dumps(facts) + "\n")


def _row(
    batch: int, rounds: int, ours: Callable[[int], float], theirs: Callable[[int], float]
) -> dict[str, float | str]:
    ours(batch), theirs(batch)  # warm up
    pairs = [(ours(batch), theirs(batch)) for _ in range(rounds)]
    return {
        "what": f"batch {batch}",
        "batch": batch,
        "ours_tokens_s": round(statistics.median(a for a, _ in pairs), 1),
        "peft_tokens_s": round(statistics.median(b for _, b in pairs), 1),
        "ratio": round(statistics.median(a / b for a, b in pairs), 2),
    }


def _ours(model: Path, adapters: dict[str, Path], tokens: int) -> Callable[[int], float]:
    engine = TransformersEngine(model, adapters, places=max(BATCHES))

    def rate(batch: int) -> float:
        requests = [
            GenerationRequest(
                request_id=str(i),
                messages=_prompt(i),
                adapter=NAMES[i % len(NAMES)],
                sampling=Sampling(max_tokens=tokens, seed=i),
            )
            for i in range(batch)
        ]
        begun = time.perf_counter()
        written = sum(completion.tokens_out for completion in complete(engine, requests))
        return written / (time.perf_counter() - begun)

    return rate


def _theirs(model: Path, adapters: dict[str, Path], tokens: int) -> Callable[[int], float]:
    loaded = load_language_model(model)
    mixed: Any = PeftModel.from_pretrained(loaded.model, adapters[NAMES[0]], adapter_name=NAMES[0])
    for name in NAMES[1:]:
        mixed.load_adapter(adapters[name], adapter_name=name)
    mixed.eval()

    def rate(batch: int) -> float:
        prompts = [encode(loaded.tokenizer, _prompt(i), max_tokens=500) for i in range(batch)]
        ids, mask = _left_padded(prompts)
        begun = time.perf_counter()
        with torch.inference_mode():
            out = mixed.generate(
                input_ids=ids,
                attention_mask=mask,
                adapter_names=[NAMES[i % len(NAMES)] for i in range(batch)],
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=True,
                temperature=0.7,
                top_p=0.9,
                pad_token_id=2,
            )
        return float(batch * (out.shape[1] - ids.shape[1]) / (time.perf_counter() - begun))

    return rate


def _prompt(place: int) -> list[Message]:
    arms = load_menu().served
    return build([Message(role="user", content=SAID)], arm=arms[place % len(arms)])


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    rows = [[2] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    kept = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(rows), torch.tensor(kept)


def _random_adapter(model: Path, folder: Path) -> Path:
    loaded = load_language_model(model)
    torch.manual_seed(ord(folder.name))
    config = LoraConfig(r=8, lora_alpha=1, target_modules=list(MODULES), init_lora_weights=False)
    write_adapter(get_peft_model(loaded.model, config), folder, base="benchmark")
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.generation")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


if __name__ == "__main__":
    main()
