"""Language models off the disk, onto the device and into the number format that is fastest."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rapport.config import Device
from rapport.errors import ConfigError
from rapport.language.prompts import Tokenizer
from rapport.model_sources import quiet_transformers
from rapport.text import computes_in_bf16

Model = Any
"""A module of the transformers or peft library: their types are too loose to check against."""


class LanguageModel(NamedTuple):
    """A causal language model of the transformers library with its tokenizer."""

    model: Model
    tokenizer: Tokenizer
    folder: Path


class Hardware(NamedTuple):
    """Where a model runs and in which number format."""

    device: torch.device
    dtype: torch.dtype


def best_hardware(wanted: Device = "auto") -> Hardware:
    """The first GPU, else the CPU; bfloat16 where it is multiplied natively, else float32.

    Args:
        wanted: Where a model has to run; `auto` takes a GPU where this process sees one.

    Raises:
        ConfigError: `cuda` is wanted and this process sees no GPU.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        remedy = "set it to auto or cpu, or install a CUDA build of torch and give it a GPU"
        raise ConfigError("device", wanted, remedy)
    device = torch.device("cuda" if there and wanted != "cpu" else "cpu")
    return Hardware(device, torch.bfloat16 if computes_in_bf16(device) else torch.float32)


def load_language_model(
    folder: Path,
    *,
    hardware: Hardware | None = None,
    attention: Literal["sdpa", "eager"] = "sdpa",
) -> LanguageModel:
    """Read a model and its tokenizer from a folder in Hugging Face layout, ready for inference.

    Args:
        folder: As `rapport.models.pull` gives it; nothing is fetched.
        hardware: Default the best there is.
        attention: Implementation of the library's own attention.

    Raises:
        ConfigError: The folder holds no model with a chat template.
    """
    device, dtype = hardware or best_hardware()
    try:
        with quiet_transformers():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=attention, local_files_only=True
            )
    except (OSError, ValueError) as error:
        raise ConfigError("language_model", str(folder), "name a folder with a model") from error
    if not tokenizer.chat_template or tokenizer.eos_token_id is None:
        raise ConfigError("language_model", str(folder), "take a model tuned for chat")
    return LanguageModel(model.to(device).eval().requires_grad_(False), tokenizer, folder)


def load_trainable(folder: Path, *, hardware: Hardware | None = None) -> LanguageModel:
    """A model as `AdapterTrainer` takes it: with the attention whose backward pass is faster.

    For short texts that is the plain one on a CPU and the fused one on a GPU.

    Raises:
        ConfigError: The folder holds no model with a chat template.
    """
    hardware = hardware or best_hardware()
    attention: Literal["sdpa", "eager"] = "eager" if hardware.device.type == "cpu" else "sdpa"
    return load_language_model(folder, hardware=hardware, attention=attention)


def end_tokens(language_model: LanguageModel) -> frozenset[int]:
    """Tokens that end a reply."""
    named = language_model.model.generation_config.eos_token_id
    several = named if isinstance(named, list) else [named]
    ids = {*several, language_model.tokenizer.eos_token_id}
    return frozenset(token for token in ids if token is not None)
