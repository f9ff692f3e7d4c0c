"""Replies written: by our engine with mixed adapters, and by `transformers.generate` with none."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from rapport.arms import load_menu
from rapport.language.engine import GenerationRequest, complete
from rapport.language.loading import Hardware, load_language_model
from rapport.language.prompts import Message, build, encode
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine

SAID = "My sister called again and I feel torn about what I should tell her this time."


def prompt(place: int) -> list[Message]:
    arms = load_menu().served
    return build([Message(role="user", content=SAID)], arm=arms[place % len(arms)])


def engine(
    model: Path, adapters: Mapping[str, Path], hardware: Hardware, *, batch: int, tokens: int
) -> Callable[[], float]:
    """What times our engine on one greedy batch, adapters by turns: tokens a second."""
    ours = TransformersEngine(model, adapters, places=batch, hardware=hardware)
    names = list(adapters)
    requests = [
        GenerationRequest(
            request_id=str(i),
            messages=prompt(i),
            adapter=names[i % len(names)],
            sampling=Sampling(max_tokens=tokens, temperature=0),
        )
        for i in range(batch)
    ]

    def rate() -> float:
        begun = time.perf_counter()
        written = sum(completion.tokens_out for completion in complete(ours, requests))
        return written / (time.perf_counter() - begun)

    return rate


def plain(model: Path, hardware: Hardware, *, batch: int, tokens: int) -> Callable[[], float]:
    """What times the bare model by `generate` on the same prompts: tokens a second."""
    loaded = load_language_model(model, hardware=hardware)
    prompts = [encode(loaded.tokenizer, prompt(i), max_tokens=500) for i in range(batch)]
    ids, mask = (part.to(hardware.device) for part in _left_padded(prompts))

    def rate() -> float:
        begun = time.perf_counter()
        with torch.inference_mode():
            out = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=2,
            )
        written = batch * (out.shape[1] - ids.shape[1])
        out.cpu()  # waits for the device
        return float(written / (time.perf_counter() - begun))

    return rate


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    rows = [[2] * (longest - len(each)) + list(each) for each in prompts]
    kept = [[0] * (longest - len(each)) + [1] * len(each) for each in prompts]
    return torch.tensor(rows), torch.tensor(kept)
