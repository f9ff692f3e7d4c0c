"""PEFT adapters on a model under training: put on, taken off, written, stepped."""

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from rapport.language.adapters import CONFIG_FILE, WEIGHTS_FILE
from rapport.language.loading import Model
from rapport.language.settings import TrainingSettings
from rapport.language.workers import Workers

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")
"""Modules of every layer that adapters change."""
_LARGEST_GRADIENT = 1.0


@contextlib.contextmanager
def adapted(
    model: Model, settings: TrainingSettings, *, start_from: Path | None
) -> Iterator[Model]:
    """A PEFT model around `model` with a trainable adapter, new or read from a folder.

    On leaving, `model` is as it was.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the two libraries' own affair
        if start_from:
            wrapped = PeftModel.from_pretrained(
                model, start_from, is_trainable=True, autocast_adapter_dtype=False
            )
        else:
            config = LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                target_modules=list(MODULES),
                task_type="CAUSAL_LM",
            )
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(settings.seed)
                wrapped = get_peft_model(model, config, autocast_adapter_dtype=False)
    try:
        yield wrapped
    finally:
        wrapped.unload()


def write_adapter(wrapped: Model, folder: Path, *, base: str) -> None:
    """Write the adapter in PEFT format: the same weights give the same bytes.

    Args:
        wrapped: As `adapted` gives it.
        folder: Made if missing; its adapter is replaced.
        base: Name of the base model and its weights, kept in the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    partial = folder / f"{WEIGHTS_FILE}.partial"
    save_file(tensors, partial)
    config = wrapped.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base, "inference_mode": True, "revision": None}
    text = json.dumps(config, indent=2, sort_keys=True, default=_listed)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    partial.replace(folder / WEIGHTS_FILE)


class Optimiser:
    """AdamW on float32 copies of the adapter, whatever the model computes in.

    bfloat16 has 8 bits of mantissa: small steps on it would be lost. The factors the model sees
    are the copies, rounded.
    """

    def __init__(self, wrapped: Model, workers: Workers) -> None:
        self._seen = [p for p in wrapped.parameters() if p.requires_grad]
        self._exact = [p.detach().float().clone().requires_grad_() for p in self._seen]
        self._adam = torch.optim.AdamW(self._exact, weight_decay=0.0)
        self._workers = workers

    def step(self, rate: float, tokens: Tensor) -> None:
        """Step along the gradients of a loss summed over this worker's `tokens`, then clear them.

        Args:
            rate: Learning rate of this step.
            tokens: Scalar, reply tokens this worker's loss summed over; the step divides by the
                sum over all workers.
        """
        gradients = [_gradient(p) for p in self._seen]
        self._workers.total([*gradients, tokens])
        for exact, gradient, seen in zip(self._exact, gradients, self._seen, strict=True):
            exact.grad, seen.grad = gradient / tokens, None
        torch.nn.utils.clip_grad_norm_(self._exact, _LARGEST_GRADIENT)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self.show()

    def show(self, exact: Sequence[Tensor] | None = None) -> None:
        """Give the model the present factors, or replace them by `exact` first."""
        with torch.no_grad():
            for index, seen in enumerate(self._seen):
                if exact is not None:
                    self._exact[index].copy_(exact[index])
                seen.copy_(self._exact[index])

    def factors(self) -> list[Tensor]:
        """Copies of the present factors, float32."""
        return [exact.detach().clone() for exact in self._exact]

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return {"factors": self.factors(), "adam": self._adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._adam.load_state_dict(state["adam"])
        self.show(state["factors"])


def _gradient(parameter: Tensor) -> Tensor:
    # A worker whose share of a batch is empty has no gradient of its own.
    return torch.zeros_like(parameter).float() if parameter.grad is None else parameter.grad.float()


def _listed(value: object) -> object:
    return sorted(value) if isinstance(value, set) else str(value)
