"""Releases: immutable folders named by their content, and CURRENT, which names one of them.

    releases/.candidates/<id>/   what jobs prepare and judge
    releases/<id>/               published: every file as hashed in manifest.json, for good
    releases/CURRENT             the id that serves
    releases/HISTORY             ids that served, oldest first, for rollback

Each step is one rename, so a crash leaves the state before it or the state after it. Releases
lie on a local or shared file system with atomic renames.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rapport.errors import BrokenReleaseError, ConfigError, UnknownNameError
from rapport.release_manifest import (
    MANIFEST,
    JobRecord,
    Manifest,
    Metric,
    Origin,
    alias_of,
    folder_id,
    lineage_root,
    manifest_of,
    read_manifest,
    refuse_users,
    sealed,
    verify,
)
from rapport.scratch import sync

__all__ = [
    "JobRecord",
    "Listed",
    "Manifest",
    "Metric",
    "Origin",
    "alias_of",
    "current",
    "find",
    "folder_id",
    "lineage_root",
    "list_releases",
    "prepared",
    "promote",
    "publish",
    "read_manifest",
    "rollback",
    "stage",
    "verify",
]

CURRENT, HISTORY, CANDIDATES = "CURRENT", "HISTORY", ".candidates"


@dataclass(frozen=True)
class Listed:
    """A published release as a list shows it."""

    release_id: str
    is_current: bool
    manifest: Manifest | None
    """None when it cannot be read."""
    fault: str = ""
    """Why it cannot be read. Files are not hashed for a list; see `verify`."""


def stage(folder: Path, releases: Path) -> Path:
    """Move a finished work folder to `.candidates/<id>`; the same content again replaces it."""
    target = releases / CANDIDATES / folder_id(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target != folder:
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def publish(
    candidate: Path, releases: Path, *, origin: Origin, metrics: Sequence[Metric] = ()
) -> str:
    """Turn a candidate into a release: manifest last, then one rename, then read back and verified.

    Publishing content that is published already changes nothing and takes the candidate away.

    Returns:
        The release's id.

    Raises:
        BrokenReleaseError: A file names a user, is a link, there is none, or what was published
            does not read back as it was written; it is never promoted then.
        ConfigError: The candidate does not exist.
    """
    with _locked(releases) as scratch:
        manifest = prepared(candidate, origin=origin, metrics=metrics)
        target = releases / manifest.release_id
        if target.exists():
            verify(target)
            shutil.rmtree(candidate)
            return manifest.release_id
        for name in manifest.files:
            sync(candidate / name)
        _write(candidate / MANIFEST, sealed(manifest), scratch=scratch)
        for folder in [path for path in candidate.rglob("*") if path.is_dir()]:
            sync(folder)
        candidate.rename(target)
        sync(releases)
        verify(target)
    return manifest.release_id


def prepared(candidate: Path, *, origin: Origin, metrics: Sequence[Metric] = ()) -> Manifest:
    """Manifest that publishing a candidate would give it; nothing is written.

    Raises:
        BrokenReleaseError: A file names a user, is a link, or there is none.
        ConfigError: The candidate does not exist.
    """
    if not candidate.is_dir():
        raise ConfigError("candidate", str(candidate), "train_policy prepares one")
    manifest = manifest_of(candidate, origin, metrics)
    refuse_users(candidate, manifest, origin)
    return manifest


def current(releases: Path) -> Path | None:
    """Folder of the release that serves, none before the first promotion.

    Raises:
        BrokenReleaseError: CURRENT names a release that is not there.
    """
    release_id = _read_current(releases)
    if release_id is None:
        return None
    if not (releases / release_id).is_dir():
        raise BrokenReleaseError(release_id, CURRENT, "the release it names is missing")
    return releases / release_id


def promote(releases: Path, name: str) -> Path:
    """Verify a release and let CURRENT name it.

    Args:
        releases: The folder of releases.
        name: Id, its first 4 digits or more, or alias.

    Raises:
        UnknownNameError: No such release, or several.
        BrokenReleaseError: Its hashes do not hold; CURRENT stays as it was.
    """
    with _locked(releases) as scratch:
        folder = find(releases, name)
        verify(folder)
        served = _served(releases)
        if served[-1:] != [folder.name]:
            _write(releases / HISTORY, "\n".join([*served, folder.name]) + "\n", scratch=scratch)
            _write(releases / CURRENT, folder.name + "\n", scratch=scratch)
    return folder


def rollback(releases: Path) -> Path:
    """Let CURRENT name the release that served before.

    Raises:
        ConfigError: None did.
        BrokenReleaseError: Its hashes do not hold; CURRENT stays as it was.
    """
    with _locked(releases) as scratch:
        served = _served(releases)
        if len(served) < 2:
            raise ConfigError("release", "rollback", "no release served before this one")
        folder = releases / served[-2]
        verify(folder)
        _write(releases / CURRENT, folder.name + "\n", scratch=scratch)
        _write(releases / HISTORY, "\n".join(served[:-1]) + "\n", scratch=scratch)
    return folder


def find(releases: Path, name: str) -> Path:
    """Folder of the release with this id, start of an id (4 digits or more) or alias.

    Raises:
        UnknownNameError: No such release, or several.
    """
    published = _published(releases)
    fitting = [
        folder
        for folder in published
        if name == alias_of(folder.name) or (len(name) >= 4 and folder.name.startswith(name))
    ]
    if len(fitting) != 1:
        known = [f"{folder.name} ({alias_of(folder.name)})" for folder in published]
        raise UnknownNameError("release", name, known)
    return fitting[0]


def list_releases(releases: Path) -> list[Listed]:
    """Every published release, oldest first; broken ones last, with what is wrong."""
    serving = _read_current(releases)
    listed = []
    for folder in _published(releases):
        try:
            manifest, fault = read_manifest(folder), ""
        except BrokenReleaseError as error:
            manifest, fault = None, error.reason
        listed.append(Listed(folder.name, folder.name == serving, manifest, fault))
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(listed, key=lambda one: one.manifest.created if one.manifest else latest)


def _published(releases: Path) -> list[Path]:
    if not releases.is_dir():
        return []
    folders = (path for path in releases.iterdir() if path.is_dir())
    return sorted(folder for folder in folders if not folder.name.startswith("."))


def _read_current(releases: Path) -> str | None:
    path = releases / CURRENT
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def _served(releases: Path) -> list[str]:
    """Ids that served up to CURRENT; what a crash left beyond it does not count."""
    serving, path = _read_current(releases), releases / HISTORY
    if serving is None:
        return []
    history = path.read_text(encoding="utf-8").split() if path.exists() else []
    while history and history[-1] != serving:
        history.pop()
    return history or [serving]


@contextmanager
def _locked(releases: Path) -> Iterator[Path]:
    """Keep other publishers and promoters out; gives a name for a file being written."""
    releases.mkdir(parents=True, exist_ok=True)
    with (releases / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield releases / ".new"


def _write(path: Path, text: str, *, scratch: Path) -> None:
    """Replace a file at once: readers see the old text or the new one, after a crash too."""
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync(path.parent)
