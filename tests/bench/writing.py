"""Greedy replies to one batch of prompts: by our engine, and by `transformers.generate`."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from rapport.arms import load_menu
from rapport.language.engine import Completion, GenerationRequest, complete
from rapport.language.loading import Hardware, Model, load_language_model
from rapport.language.prompts import Message, build, encode
from rapport.language.sampling import Sampling
from rapport.language.transformers_engine import TransformersEngine

SAID = "My sister called again and I feel torn about what I should tell her this time."
END = 2
"""End of a turn for SmolLM2 and for the random models; it also pads."""


def prompt(place: int) -> list[Message]:
    arms = load_menu().served
    return build([Message(role="user", content=SAID)], arm=arms[place % len(arms)])


class Ours:
    """Our engine; adapters take turns over the batch, none is the base model."""

    def __init__(
        self,
        model: Path,
        adapters: Mapping[str, Path],
        hardware: Hardware,
        *,
        batch: int,
        tokens: int,
    ) -> None:
        self._engine = TransformersEngine(model, adapters, places=batch, hardware=hardware)
        self._requests = [
            GenerationRequest(
                request_id=str(i),
                messages=prompt(i),
                adapter=_named(adapters, i),
                sampling=Sampling(max_tokens=tokens, temperature=0),
            )
            for i in range(batch)
        ]

    def rate(self) -> float:
        """Tokens a second."""
        begun = time.perf_counter()
        written = sum(each.tokens_out for each in self._written())
        return written / (time.perf_counter() - begun)

    def texts(self) -> list[str]:
        return [each.text for each in self._written()]

    def _written(self) -> list[Completion]:
        return complete(self._engine, self._requests)


class Theirs:
    """`generate` of the bare model, or of PEFT's with the same adapters."""

    def __init__(
        self,
        model: Path,
        adapters: Mapping[str, Path],
        hardware: Hardware,
        *,
        batch: int,
        tokens: int,
    ) -> None:
        loaded = load_language_model(model, hardware=hardware)
        self._model, self._tokenizer, self._tokens = loaded.model, loaded.tokenizer, tokens
        self._more: dict[str, Any] = {}
        if adapters:
            self._model = _mixed(loaded.model, adapters)
            self._more = {"adapter_names": [_named(adapters, i) for i in range(batch)]}
        prompts = [encode(loaded.tokenizer, prompt(i), max_tokens=500) for i in range(batch)]
        self._ids, self._mask = (part.to(hardware.device) for part in _left_padded(prompts))

    def rate(self) -> float:
        """Tokens a second, end tokens not counted."""
        begun = time.perf_counter()
        written = int((self._written() != END).sum())
        return written / (time.perf_counter() - begun)

    def texts(self) -> list[str]:
        rows = self._written().tolist()
        return [self._tokenizer.decode([t for t in row if t != END]) for row in rows]

    def _written(self) -> torch.Tensor:
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=self._ids,
                attention_mask=self._mask,
                max_new_tokens=self._tokens,
                do_sample=False,
                pad_token_id=END,
                **self._more,
            )
        new: torch.Tensor = out[:, self._ids.shape[1] :].cpu()  # waits for the device
        return new


def _named(adapters: Mapping[str, Path], place: int) -> str | None:
    return list(adapters)[place % len(adapters)] if adapters else None


def _mixed(model: Model, adapters: Mapping[str, Path]) -> Model:
    first, *others = adapters.items()
    mixed: Any = PeftModel.from_pretrained(model, first[1], adapter_name=first[0])
    for name, folder in others:
        mixed.load_adapter(folder, adapter_name=name)
    return mixed.eval()


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, prompts))
    rows = [[END] * (longest - len(each)) + list(each) for each in prompts]
    kept = [[0] * (longest - len(each)) + [1] * len(each) for each in prompts]
    return torch.tensor(rows), torch.tensor(kept)
