"""How far apart two ways to the same log probabilities are, in nats a token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from rapport.language.adapters import read_adapter
from rapport.language.decoder import LlamaDecoder
from rapport.language.loading import Hardware, load_language_model
from rapport.language.prompts import encode
from tests.bench.writing import prompt

STEPS = 16
"""Tokens decoded one by one behind each prompt."""


def gaps(model: Path, adapters: Mapping[str, Path], device: torch.device) -> dict[str, Any]:
    """Largest and mean distance, by number format.

    `mixed`: rows decoded together, each with its adapter, against each row decoded alone.
    `merged`: the same rows against transformers with PEFT's merged weights. `moved`: the adapters'
    effect, against the bare model; what the others are to be small beside.
    """
    return {
        str(dtype).removeprefix("torch."): _gaps(model, adapters, Hardware(device, dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }


def _gaps(model: Path, adapters: Mapping[str, Path], hardware: Hardware) -> dict[str, Any]:
    decoder = LlamaDecoder(
        load_language_model(model, hardware=hardware).model,
        rows=len(adapters),
        max_adapters=len(adapters),
    )
    for name, folder in adapters.items():
        decoder.bank.add(name, read_adapter(folder))
    tokenizer = load_language_model(model, hardware=hardware).tokenizer
    prompts = [encode(tokenizer, prompt(i), max_tokens=500) for i in range(len(adapters))]
    generator = torch.Generator().manual_seed(0)
    said = torch.randint(3, 256, (len(adapters), STEPS), generator=generator).tolist()
    rows = [decoder.bank.row(name) for name in adapters]
    mixed = _decoded(decoder, prompts, said, rows)
    alone = torch.cat(
        [_decoded(decoder, [prompts[i]], [said[i]], [row]) for i, row in enumerate(rows)]
    )
    bare = _decoded(decoder, prompts, said, [0] * len(rows))
    merged = [
        _merged(model, folder, hardware, [*prompts[i], *said[i]], start=len(prompts[i]))
        for i, folder in enumerate(adapters.values())
    ]
    return {
        "mixed": _apart(mixed, alone),
        "merged": _apart(mixed, torch.stack(merged)),
        "moved": _apart(mixed, bare),
    }


def _decoded(
    decoder: LlamaDecoder,
    prompts: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]],
    rows: Sequence[int],
) -> Tensor:
    """Log probabilities [N, STEPS, V] of the token after each prompt and what was said so far."""
    logits = [decoder.admit(prompts, rows)]
    logits += [decoder.advance([row[step] for row in said]) for step in range(STEPS - 1)]
    for row in reversed(range(len(rows))):
        decoder.drop(row)
    return torch.stack(logits, 1).float().log_softmax(-1).cpu()


def _merged(
    model: Path, adapter: Path, hardware: Hardware, ids: Sequence[int], *, start: int
) -> Tensor:
    wrapped: Any = PeftModel.from_pretrained(
        load_language_model(model, hardware=hardware).model, adapter
    )
    with torch.inference_mode():
        found = wrapped.merge_and_unload()(torch.tensor([ids], device=hardware.device)).logits
    logits: Tensor = found[0, start - 1 : -1].float().log_softmax(-1).cpu()
    return logits


def _apart(some: Tensor, others: Tensor) -> dict[str, float]:
    distance = (some - others).abs()
    return {"most": float(f"{distance.max():.3g}"), "mean": float(f"{distance.mean():.3g}")}
