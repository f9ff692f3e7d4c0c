"""A tiny language model, made once, and random adapters for it."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rapport.language.adaptation import write_adapter
from rapport.language.loading import Hardware, LanguageModel, load_language_model
from rapport.testing import tiny_language_model

EXACT = Hardware(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_language_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def loaded(model_dir: Path) -> LanguageModel:
    return load_language_model(model_dir, hardware=EXACT)


@pytest.fixture(scope="session")
def adapters(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two random adapters of different ranks, the second on every linear module."""
    root = tmp_path_factory.mktemp("adapters")
    everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return {
        "wry-03": random_adapter(model_dir, root / "wry-03", rank=4, modules=everything[:4]),
        "shy-01": random_adapter(model_dir, root / "shy-01", rank=2, modules=everything),
    }


def random_adapter(model_dir: Path, folder: Path, *, rank: int, modules: list[str]) -> Path:
    """An adapter that changes the model a lot; PEFT starts them as no change at all."""
    loaded = load_language_model(model_dir, hardware=EXACT)
    config = LoraConfig(
        r=rank, lora_alpha=3 * rank, target_modules=modules, init_lora_weights=False
    )
    torch.manual_seed(rank)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(loaded.model, config)
    write_adapter(wrapped, folder, base="tiny")
    return folder
