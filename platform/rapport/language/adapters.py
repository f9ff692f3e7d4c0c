"""Adapters on disk: PEFT folders, found, read and checked."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rapport.errors import DataError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_KEY = re.compile(
    r"base_model\.model\.model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.lora_([AB])\.weight"
)
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "fan_in_fan_out": (False, None),
}
"""Settings of PEFT that the arithmetic here does not cover must have these values."""


@dataclass(frozen=True)
class Adapter:
    """One adapter's factors: module output += up @ (down @ x)."""

    rank: int
    down: dict[tuple[int, str], Tensor]
    """[rank, in] by (layer, module)."""
    up: dict[tuple[int, str], Tensor]
    """[out, rank] by (layer, module), alpha / rank multiplied in."""


def find_adapters(root: Path) -> dict[str, Path]:
    """Adapter folders directly below a folder, by name; empty when there is no such folder."""
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG_FILE}"))}


def read_adapter(folder: Path) -> Adapter:
    """Read a PEFT LoRA folder (adapter_config.json + adapter_model.safetensors).

    Raises:
        DataError: A file is missing or broken, a setting is not plain LoRA, a factor lacks its
            partner, has another rank than the config says, or is not finite.
    """
    config = _config(folder)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise _broken(folder, f"{WEIGHTS_FILE} cannot be read") from error
    rank = int(config["r"])
    root = math.sqrt(rank) if config.get("use_rslora") else rank
    scale = float(config["lora_alpha"]) / root
    factors: dict[str, dict[tuple[int, str], Tensor]] = {"A": {}, "B": {}}
    for key, tensor in tensors.items():
        found = _KEY.fullmatch(key)
        if not found:
            raise _broken(folder, f"{key} is none of a layer's linear modules")
        factors[found[3]][int(found[1]), found[2]] = tensor.float()
    down, up = factors["A"], {at: tensor * scale for at, tensor in factors["B"].items()}
    _check(folder, rank, down=down, up=up)
    return Adapter(rank, down, up)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _broken(folder, f"{CONFIG_FILE} cannot be read") from error
    if rank < 1 or not alpha > 0:
        raise _broken(folder, f"r = {rank} and lora_alpha = {alpha:g} are no scale")
    for setting, allowed in _PLAIN.items():
        if config.get(setting, allowed[0]) not in allowed:
            raise _broken(folder, f"{setting} = {config[setting]!r} is not plain LoRA")
    return dict(config)


def _check(
    folder: Path,
    rank: int,
    *,
    down: Mapping[tuple[int, str], Tensor],
    up: Mapping[tuple[int, str], Tensor],
) -> None:
    if not down or down.keys() != up.keys():
        raise _broken(folder, "its factors do not come in pairs")
    for at, factor in down.items():
        if (*factor.shape[:-1], *up[at].shape[1:]) != (rank, rank):
            raise _broken(folder, f"{at[1]} of layer {at[0]} does not have rank {rank}")
        if not (factor.isfinite().all() and up[at].isfinite().all()):
            raise _broken(folder, f"{at[1]} of layer {at[0]} is not finite")


def _broken(folder: Path, reason: str) -> DataError:
    return DataError(f"adapter {folder.name!r} is broken: {reason}", "train it again or drop it")
