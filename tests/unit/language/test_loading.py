import json
import shutil
from pathlib import Path

import pytest
import torch

from rapport.errors import ConfigError
from rapport.language.loading import best_hardware, end_tokens, load_language_model, load_trainable

from .conftest import EXACT


def test_a_model_comes_ready_for_inference_on_the_best_hardware(model_dir: Path):
    loaded = load_language_model(model_dir)

    assert loaded.folder == model_dir
    assert (loaded.model.device.type, loaded.model.dtype) == (
        best_hardware().device.type,
        best_hardware().dtype,
    )
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_a_device_that_is_asked_for_is_taken_or_missed(monkeypatch):
    assert best_hardware("cpu").device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_hardware().device.type == "cpu"
    with pytest.raises(ConfigError, match=r"device is 'cuda': set it to auto or cpu"):
        best_hardware("cuda")


def test_training_takes_the_plain_attention_on_a_processor(model_dir: Path):
    assert load_trainable(model_dir).model.config._attn_implementation == (
        "eager" if best_hardware().device.type == "cpu" else "sdpa"
    )


def test_both_attentions_compute_the_same(model_dir: Path):
    ids = torch.tensor([[5, 60, 7, 9]])

    plain = load_language_model(model_dir, hardware=EXACT).model(ids).logits
    eager = load_language_model(model_dir, hardware=EXACT, attention="eager").model(ids).logits

    torch.testing.assert_close(plain, eager, atol=1e-5, rtol=1e-4)


def test_every_token_that_ends_a_reply_is_known(model_dir: Path):
    loaded = load_language_model(model_dir, hardware=EXACT)
    assert end_tokens(loaded) == {loaded.tokenizer.eos_token_id}

    loaded.model.generation_config.eos_token_id = [0, 5]

    assert end_tokens(loaded) == {0, 5, loaded.tokenizer.eos_token_id}


def test_a_model_that_cannot_chat_is_refused(model_dir: Path, tmp_path: Path):
    folder = tmp_path / "plain"
    shutil.copytree(model_dir, folder)
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    with pytest.raises(ConfigError, match="chat"):
        load_language_model(folder)


def test_a_folder_with_no_model_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="language_model"):
        load_language_model(tmp_path)
