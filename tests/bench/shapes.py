"""Random models in the shape of real ones, and random adapters for them: for speed, not quality."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from rapport.language.adaptation import MODULES, write_adapter
from rapport.language.loading import Hardware, load_language_model
from rapport.testing import tiny_language_model

SMOLLM2: dict[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
}
"""Sizes of SmolLM2-135M."""
CPU = Hardware(torch.device("cpu"), torch.float32)


def random_model(folder: Path) -> Path:
    """Make a Llama of SmolLM2-135M's sizes with random weights and as large a vocabulary."""
    tiny_language_model(folder)
    _widen(folder / "tokenizer.json", SMOLLM2["vocab_size"])
    torch.manual_seed(0)
    # Far from a trained model's weights, but not so small that every token is as likely.
    config = LlamaConfig(
        **SMOLLM2,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_theta": 1e5, "rope_type": "default"},
        tie_word_embeddings=True,
        initializer_range=0.08,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model: Any = LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def random_adapter(model: Path, folder: Path, *, seed: int, alpha: int = 1) -> Path:
    """An adapter of rank 8 that changes what the model says; PEFT starts them as no change."""
    loaded = load_language_model(model, hardware=CPU)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=8, lora_alpha=alpha, target_modules=list(MODULES), init_lora_weights=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        write_adapter(get_peft_model(loaded.model, config), folder, base="benchmark")
    return folder


def _widen(path: Path, size: int) -> None:
    """Give a tokenizer entries that no text is split into, so that every id has a text."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"Ġfill{place}": place for place in range(len(vocabulary), size)}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
