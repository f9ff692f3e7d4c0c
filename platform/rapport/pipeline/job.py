"""What a job is, what it finds when it is started, and whether there is anything to do."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import rapport
from rapport.config import JobConfig
from rapport.pipeline.ports import PORTS, Desk, as_json
from rapport.pipeline.runs import Run
from rapport.schema import SCHEMAS

C = TypeVar("C", bound=JobConfig)
Result = Mapping[str, Any]

_NOT_INPUT = {"home", "smoke"}


@dataclass(frozen=True)
class Job(Generic[C]):
    """A job as its file declares it; `rapport.pipeline.running.run_job` gives it its shape.

    A job is not run again when nothing it reads changed and everything it wrote still stands, so
    `reads` names all that its result depends on, and nothing that it keeps for itself.
    """

    config: type[C]
    call: Callable[[C], Result]
    """Does the work and returns facts to print: JSON types, no text of users. Imports what is
    heavy when called. `refused` true is the gate's no; `left` above 0 is work for a next run."""
    reads: tuple[str, ...] = ()
    """Tables of the schema, and names of `rapport.pipeline.ports.PORTS`."""
    writes: tuple[str, ...] = ()
    """The same; a part that is only sometimes written may be missing."""
    rows_per_s: float | None = None
    """Rows of the tables read that 2 shared cores worked off in a second; for a first estimate."""


@dataclass(frozen=True)
class Snapshot:
    """Tables and parts as they are at one moment."""

    versions: Mapping[str, int]
    rows: Mapping[str, int]
    parts: Mapping[str, str]


def snapshot(desk: Desk, names: tuple[str, ...]) -> Snapshot:
    """Look at what a job reads, or writes."""
    tables = [name for name in names if name in SCHEMAS]
    parts = {name: PORTS[name].digest(desk) for name in names if name not in SCHEMAS}
    return Snapshot(
        versions={name: desk.lake.content_version(name) for name in tables},
        rows={name: desk.lake.rows(name) for name in tables},
        parts={name: digest for name, digest in parts.items() if digest is not None},
    )


def config_hash(config: JobConfig) -> str:
    """sha256 of the resolved settings; where the home lies is none of them."""
    return _sha256(config.model_dump_json(exclude=_NOT_INPUT))


def inputs_hash(config: JobConfig, found: Snapshot) -> str:
    """sha256 of all that a result depends on: settings, code, table versions, parts."""
    stated = {
        "config": config_hash(config),
        "code": code_version(),
        "tables": dict(found.versions),
        "parts": dict(found.parts),
    }
    return _sha256(as_json(stated))


@cache
def code_version() -> str:
    """Version of the library and 12 digits of sha256 over its source: `0.1.0+53aa51172d14`."""
    root = Path(rapport.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(path.relative_to(root).as_posix().encode() + b"\x00" + path.read_bytes())
    return f"{rapport.__version__}+{whole.hexdigest()[:12]}"


def reasons_to_run(desk: Desk, *, found: Snapshot, last: Run | None) -> list[str]:
    """Why a job has something to do; empty when its last run already did it.

    Args:
        desk: Where it works.
        found: What it would read.
        last: Its latest run here.
    """
    if last is None:
        return ["no earlier run"]
    if not last.finished:
        return [f"its last run was {last.status}"]
    if last.inputs_hash != inputs_hash(desk.config, found):
        return _changed(last, desk, found)
    return _gone(last, desk)


def _changed(last: Run, desk: Desk, found: Snapshot) -> list[str]:
    reasons = ["settings changed"] if last.config_hash != config_hash(desk.config) else []
    reasons += ["code changed"] if last.code_version != code_version() else []
    for name in sorted({*found.versions, *last.versions_in}):
        before, now = last.versions_in.get(name), found.versions.get(name)
        reasons += [f"{name}: version {before} -> {now}"] if before != now else []
    for name in sorted({*found.parts, *last.parts_in}):
        same = last.parts_in.get(name) == found.parts.get(name)
        reasons += [] if same else [f"{name} changed"]
    return reasons


def _gone(last: Run, desk: Desk) -> list[str]:
    tables = [
        name
        for name, version in last.versions_out.items()
        if desk.lake.content_version(name) < version
    ]
    parts = [name for name, made in last.parts_out.items() if not PORTS[name].still(desk, made)]
    return [f"{name} is no longer what it wrote" for name in (*tables, *parts)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
