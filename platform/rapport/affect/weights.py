"""Weights on disk: arrays as safetensors, and a JSON file that names, dates and licenses them."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from rapport.errors import DataError, ModelHashError, UnknownNameError


def save_weights(
    folder: Path, name: str, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> Path:
    """Write `<name>-<hash>.safetensors`, then `<name>.json`, and return the latter.

    The JSON names its arrays' file and is replaced last, in one step: a reader, or a crash between
    the two, sees the old weights or the new ones. Files of older weights are removed afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = save({key: np.ascontiguousarray(array) for key, array in arrays.items()})
    digest = hashlib.sha256(data).hexdigest()
    file = folder / f"{name}-{digest[:12]}.safetensors"
    _write(file, data)
    stated = {"weights": file.name, "sha256": digest, **facts}
    _write(folder / f"{name}.json", (json.dumps(stated, indent=2) + "\n").encode())
    for other in folder.glob(f"{name}-*.safetensors"):
        if other != file:
            other.unlink(missing_ok=True)
    return folder / f"{name}.json"


def load_weights(folder: Path, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read arrays and facts back.

    Raises:
        UnknownNameError: The folder holds no such weights.
        DataError: The JSON cannot be read.
        ModelHashError: The arrays are not those the JSON names.
    """
    try:
        facts = facts_of(folder, name)
        file = folder / facts["weights"]
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        known = sorted(path.stem for path in folder.glob("*.json"))
        raise UnknownNameError("file of weights", str(folder / name), known) from error
    if found != facts["sha256"]:
        raise ModelHashError(str(file), facts["sha256"], found)
    return load_file(file), facts


def facts_of(folder: Path, name: str) -> dict[str, Any]:
    """What is stated beside weights, without their arrays.

    Raises:
        FileNotFoundError: The folder holds no such weights.
        DataError: It cannot be read.
    """
    path = folder / f"{name}.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        remedy = "train again: rapport run train_scorers --force --data DIR"
        raise DataError(f"{str(path)!r} is damaged", remedy) from error
    return facts


def stands(folder: Path, name: str) -> bool:
    """Whether a folder holds weights of this name."""
    return (folder / f"{name}.json").exists()


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(path)
