"""What every measurement answers with, and how its data are named."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rapport.errors import ConfigError

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Measure:
    """An estimate with its 95 % interval; the ends are none where none is meant."""

    estimate: float
    low: float | None
    high: float | None
    n: int


Measures = Mapping[str, Measure]


@dataclass(frozen=True)
class Group:
    """Measures of one group; `refused` says why its intervals are left out."""

    metrics: Measures
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The measures by name, and why they were refused where they were."""
        told: dict[str, Any] = {name: asdict(found) for name, found in self.metrics.items()}
        return {**told, "refused": self.refused} if self.refused else told


@dataclass(frozen=True)
class Result:
    """One measurement on one file or folder."""

    task: str
    data: Path
    rows: int
    """Rows that were read."""
    skipped: int
    n: int
    """Rows or users that the metrics rest on."""
    metrics: Measures = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    release: str | None = None
    notes: tuple[str, ...] = ()
    sha256: str | None = None
    """Of what was read, where that is no file of its own."""

    @property
    def refused(self) -> bool:
        """Whether every group was refused."""
        return bool(self.groups) and all(group.refused for group in self.groups.values())

    def to_json(self) -> dict[str, Any]:
        """The object that `rapport evaluate --json` prints."""
        return {
            "task": self.task,
            "data": {
                "path_name": self.data.name,
                "sha256": self.sha256 or fingerprint(self.data),
                "rows": self.rows,
                "skipped": self.skipped,
            },
            "release": self.release,
            "n": self.n,
            "metrics": {name: asdict(found) for name, found in self.metrics.items()},
            "groups": {name: group.to_json() for name, group in self.groups.items()},
            "notes": list(self.notes),
        }


def fingerprint(path: Path) -> str:
    """sha256 of a file; of a folder, over the names and hashes of its files in their order."""
    if path.is_file():
        return _sha256(path)
    whole = hashlib.sha256()
    for file in _files(path):
        whole.update(f"{file.relative_to(path).as_posix()}\x00{_sha256(file)}\n".encode())
    return whole.hexdigest()


def existing(path: Path) -> Path:
    """The path, where something lies.

    Raises:
        ConfigError: Nothing does.
    """
    if not path.exists():
        raise ConfigError("--data", str(path), "name a file or folder that is there")
    return path


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
