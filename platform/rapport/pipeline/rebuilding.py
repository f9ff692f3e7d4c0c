"""The commands that train a release again, from what its manifest recorded."""

import json
import shlex
from pathlib import Path
from typing import Any

from rapport.errors import DataError
from rapport.home import Home
from rapport.lake.pins import Pins
from rapport.pipeline.job import code_version
from rapport.pipeline.records import MADE_BY
from rapport.release import JobRecord, Manifest, list_releases


def rebuild_commands(home: Home, manifest: Manifest, *, into: Path) -> list[str]:
    """Shell lines that train a release again into a home of its own.

    The new home reads the old one's events, rewards and turn vectors at the versions each job
    read, copies nothing of them, and trains everything else anew. The same code on the same
    machine gives the same adapters and the same policy.

    Args:
        home: Where the release lies, with its lake.
        manifest: Of the release.
        into: Folder of the new home.

    Raises:
        DataError: The release recorded too little, or versions it read are gone.
    """
    missing = [job for job in MADE_BY if job not in manifest.jobs]
    if missing:
        what = f"release {manifest.release_id} has no record of {', '.join(missing)}"
        raise DataError(what, "train a new release: rapport run")
    lines = _differences(manifest)
    lines += _older(home, manifest, into)
    for job in MADE_BY:
        lines.append(_line(home, job, manifest.jobs[job], into))
    lines.append(_shell("rapport", "run", "promote_release", "--home", str(into)))
    return lines


def _differences(manifest: Manifest) -> list[str]:
    """Comments on what may keep a rebuild from being the same."""
    here = code_version()
    codes = {record.code_version for record in manifest.jobs.values()} - {here}
    return [f"# trained by version {', '.join(sorted(codes))}; this is {here}"] if codes else []


def _older(home: Home, manifest: Manifest, into: Path) -> list[str]:
    """What was there before: the scorers of this home, the first release, and the parents."""
    lines = []
    if (home.root / "models").is_dir():
        lines += [_shell("mkdir", "-p", str(into)), _copy(home.root / "models", into)]
    published = [one.release_id for one in list_releases(home.releases) if one.manifest]
    needed = [*published[:1], *manifest.parents] if manifest.parents else []
    if needed:
        lines.append(_shell("mkdir", "-p", str(into / "releases")))
    for release_id in dict.fromkeys(needed):
        if release_id not in published:
            what = f"release {release_id}, from which this one was made, is gone"
            raise DataError(what, "put its folder back under releases/")
        lines.append(_copy(home.releases / release_id, into / "releases"))
    for release_id in manifest.parents:
        lines.append(_shell("rapport", "release", "promote", release_id, "--home", str(into)))
    return lines


def _line(home: Home, job: str, record: JobRecord, into: Path) -> str:
    lake = record.settings.get("lake") or {}
    base = lake.get("uri") or str(home.lake)
    pins = Pins(base, record.table_versions)
    for table in record.table_versions:
        pins.opened(table)
    settings: dict[str, Any] = {**record.settings, **_chosen(record)}
    if "candidate" in settings:
        settings["candidate"] = None  # the one the line before this has made
    settings["lake"] = {"uri": None, "base": base, "versions": dict(record.table_versions)}
    sets = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    words = [word for pair in sets for word in ("--set", pair)]
    return _shell("rapport", "run", job, "--home", str(into), *words)


def _chosen(record: JobRecord) -> dict[str, Any]:
    """What a search had found stands in for the search."""
    return {"recipe": dict(record.found)} if record.found else {}


def _copy(what: Path, into: Path) -> str:
    return _shell("cp", "-r", str(what), f"{into}/")


def _shell(*words: str) -> str:
    return shlex.join(words)
