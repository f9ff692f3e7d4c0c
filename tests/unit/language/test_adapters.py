import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rapport.errors import DataError
from rapport.language.adapters import CONFIG_FILE, WEIGHTS_FILE, find_adapters, read_adapter


@pytest.fixture
def folder(adapters: dict[str, Path], tmp_path: Path) -> Path:
    copy = tmp_path / "wry-03"
    copy.mkdir()
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        (copy / file).write_bytes((adapters["wry-03"] / file).read_bytes())
    return copy


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text()) | changes
    (folder / CONFIG_FILE).write_text(json.dumps(config))


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    change(weights)
    save_file(weights, folder / WEIGHTS_FILE)


def test_factors_come_in_pairs_with_the_scale_multiplied_in(folder: Path):
    adapter = read_adapter(folder)

    weights = load_file(folder / WEIGHTS_FILE)
    key = "base_model.model.model.layers.1.self_attn.v_proj"
    assert adapter.rank == 4
    assert len(adapter.down) == len(adapter.up) == 2 * 4
    torch.testing.assert_close(adapter.down[1, "v_proj"], weights[f"{key}.lora_A.weight"])
    torch.testing.assert_close(adapter.up[1, "v_proj"], 3 * weights[f"{key}.lora_B.weight"])


def test_rank_stabilised_adapters_are_scaled_by_the_root_of_the_rank(folder: Path):
    plain = read_adapter(folder)
    change_config(folder, use_rslora=True)

    scaled = read_adapter(folder)

    torch.testing.assert_close(scaled.up[0, "q_proj"], 2 * plain.up[0, "q_proj"])


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 2}},
        {"peft_type": "IA3"},
        {"r": 8},
        {"r": 0},
        {"lora_alpha": -1},
        {"lora_alpha": "many"},
    ],
)
def test_a_setting_that_is_not_plain_lora_is_refused(folder: Path, changes):
    change_config(folder, **changes)

    with pytest.raises(DataError, match="wry-03"):
        read_adapter(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.popitem(),
        lambda weights: weights.clear(),
        lambda weights: next(iter(weights.values())).fill_(float("nan")),
        lambda weights: weights.update(
            {"base_model.model.model.embed_tokens.lora_A": torch.ones(1)}
        ),
    ],
)
def test_broken_weights_are_refused(folder: Path, change):
    change_weights(folder, change)

    with pytest.raises(DataError, match="wry-03"):
        read_adapter(folder)


@pytest.mark.parametrize("file", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_missing_or_damaged_file_is_refused(folder: Path, file: str, damage: str):
    path = folder / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    if damage == "missing":
        path.unlink()

    with pytest.raises(DataError, match=file):
        read_adapter(folder)


def test_adapters_are_found_by_their_folders_names(adapters: dict[str, Path]):
    root = adapters["wry-03"].parent

    assert find_adapters(root) == adapters | {"shy-01": root / "shy-01"}
    assert find_adapters(root / "nowhere") == {}
