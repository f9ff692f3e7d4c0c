import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from rapport.model_sources import weights_sha256
from rapport.testing import tiny_encoder, tiny_language_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_language_model(tmp_path_factory.mktemp("models") / "lm")


def test_a_tiny_language_model_loads_chats_and_generates(folder):
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello 12"}],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    said = model.generate(**asked, max_new_tokens=3, do_sample=False)
    assert said.shape[1] <= asked["input_ids"].shape[1] + 3
    assert tokenizer.decode(asked["input_ids"][0]) == (
        "<|im_start|>user\nhello 12<|im_end|>\n<|im_start|>assistant\n"
    )


def test_special_tokens_have_the_ids_of_the_default_model(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert len(tokenizer) == 512


def test_the_seed_decides_the_weights(tmp_path):
    same = [weights_sha256(tiny_encoder(tmp_path / name, seed=3)) for name in ("a", "b")]
    assert same[0] == same[1] != weights_sha256(tiny_encoder(tmp_path / "c", seed=4))


def test_row_builders_import_without_torch():
    code = "import sys, rapport.testing; print('torch' in sys.modules)"
    root = Path(__file__).parents[3] / "platform"
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert ran.stdout.strip() == b"False"
