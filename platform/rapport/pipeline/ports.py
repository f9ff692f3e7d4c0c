"""What jobs read and write beside the lake's tables: work parts, candidates, releases, files.

Each has a name, under which jobs declare it, and a digest that tells whether it changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rapport.config import JobConfig
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.runs import Runs
from rapport.release import CANDIDATES, current
from rapport.release_manifest import MANIFEST, VERDICT
from rapport.schema import new_id
from rapport.store import open_store

WORK_PARTS = ("encoder", "personas", "strategies", "adapters", "last_policy")
"""Folders of a home's work folder that one job leaves for the next."""


@dataclass(frozen=True)
class Desk:
    """Where a job works: its settings, its home, its lake, and what ran here before."""

    config: JobConfig
    home: Home
    lake: Lake

    @property
    def runs(self) -> Runs:
        """Run records of the job's tenant."""
        return Runs(self.lake, tenant=self.config.tenant)

    @property
    def origins(self) -> Path:
        """Folder of the files that say where candidates come from."""
        return self.home.work / "origins"


@dataclass(frozen=True)
class Port:
    """One thing beside the tables that jobs read or write."""

    digest: Callable[[Desk], str | None]
    """Names its content as it is now; none where there is nothing."""
    stands: Callable[[Desk, str], bool] | None = None
    """Whether content of an earlier digest is still there; by default, whether the digest is."""

    def still(self, desk: Desk, digest: str) -> bool:
        """Whether what had this digest once is still to be had."""
        return self.stands(desk, digest) if self.stands else self.digest(desk) == digest


def digest_tree(path: Path) -> str | None:
    """sha256 over the names and contents of a folder's files, or of one file; none if missing.

    Hidden files do not count.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    found = False
    for inside in sorted(path.rglob("*")):
        name = inside.relative_to(path)
        if inside.is_file() and not any(part.startswith(".") for part in name.parts):
            whole.update(f"{name.as_posix()}\x00{digest_tree(inside)}\n".encode())
            found = True
    return whole.hexdigest() if found else None


def newest_candidate(home: Home, name: str | None = None) -> Path | None:
    """Folder of the candidate staged last, or of the one named; none where there is none."""
    origins = home.work / "origins"
    staged = [path for path in (home.releases / CANDIDATES).glob("*") if path.is_dir()]
    # One that was killed amid its staging has no origin yet, and is nobody's.
    known = {path: origins / f"{path.name}.json" for path in staged if name in (None, path.name)}
    stated = [path for path, origin in known.items() if origin.exists()]
    return max(stated, key=lambda path: known[path].stat().st_mtime_ns, default=None)


def _work_part(name: str) -> Port:
    return Port(lambda desk: digest_tree(desk.home.work / name))


def _candidate(desk: Desk) -> str | None:
    found = newest_candidate(desk.home, getattr(desk.config, "candidate", None))
    return found.name if found else _promoted(desk).get("candidate")


def _candidate_stands(desk: Desk, digest: str) -> bool:
    staged = newest_candidate(desk.home, digest) is not None
    return staged or _promoted(desk).get("candidate") == digest


def _verdict(desk: Desk) -> str | None:
    found = newest_candidate(desk.home, getattr(desk.config, "candidate", None))
    return digest_tree(found / VERDICT) if found else _promoted(desk).get("verdict")


def _promoted(desk: Desk) -> Mapping[str, str]:
    """What the promotion that was done last took away with it."""
    ends = [desk.runs.latest("promote_release", status=status) for status in ("done", "refused")]
    last = max((run for run in ends if run), key=lambda run: run.started, default=None)
    return last.parts_in if last else {}


def _release(desk: Desk) -> str | None:
    serving = current(desk.home.releases)
    return serving.name if serving else None


def _published(desk: Desk, digest: str) -> bool:
    return (desk.home.releases / digest / MANIFEST).exists()


def _previous_personas(desk: Desk) -> str | None:
    """Personas of the release that serves, whose names are kept; those made here are no news."""
    serving = current(desk.home.releases)
    found = digest_tree(serving / "personas") if serving else None
    return None if found == digest_tree(desk.home.work / "personas") else found


def _paths(desk: Desk) -> str | None:
    return _contents(getattr(desk.config, "paths", ()))


def _data(desk: Desk) -> str | None:
    return _contents(getattr(desk.config, "data", ()))


def _contents(paths: Iterable[Path | str]) -> str | None:
    """Digest of files by content, whatever they are called; always new for what is not local."""
    digests = [
        digest_tree(found) if "://" not in str(path) else new_id()
        for path in paths
        for found in _files(str(path))
    ]
    if not digests:
        return None
    return hashlib.sha256(json.dumps(sorted(map(str, digests))).encode()).hexdigest()


def _files(path: str) -> list[Path]:
    if not set(path) & set("*?["):
        return [Path(path)]
    whole = Path(path).absolute()
    return sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))


def _outbox(desk: Desk) -> str | None:
    """`empty` when every row arrived and no reply is under way; always new otherwise."""
    if not desk.home.has_store:
        return None
    store = open_store(desk.home.store_url)
    try:
        return new_id() if store.outbox.waiting() or store.unfinished() else "empty"
    finally:
        store.close()


def _recipe(desk: Desk) -> str | None:
    """Settings of the policy trained last, where they are to be taken again."""
    if getattr(desk.config, "search", True):
        return None
    stated = desk.home.work / "last_policy" / "policy.json"
    if not stated.exists():
        return None
    known = json.loads(stated.read_text(encoding="utf-8"))
    return hashlib.sha256(as_json({"recipe": known.get("recipe")}).encode()).hexdigest()


def _tenants(desk: Desk) -> str | None:
    return digest_tree(desk.home.tenants)


PORTS: Mapping[str, Port] = {
    **{name: _work_part(name) for name in WORK_PARTS},
    "candidate": Port(_candidate, _candidate_stands),
    "verdict": Port(_verdict),
    "release": Port(_release, _published),
    "previous_personas": Port(_previous_personas),
    "scorers": Port(lambda desk: digest_tree(desk.home.root / "models")),
    "files": Port(_paths),
    "labelled_sets": Port(_data),
    "outbox": Port(_outbox, lambda _desk, _digest: True),
    "recipe": Port(_recipe),
    "tenants": Port(_tenants),
    "today": Port(lambda _desk: datetime.now(UTC).date().isoformat()),
    "hour": Port(lambda _desk: f"{datetime.now(UTC):%Y-%m-%dT%H}"),
}
"""Everything beside tables that a job may declare. `scorers`: the affect scorer trained in this
home, if any; `files`: what `paths` of the settings names; `labelled_sets`: what `data` names;
`recipe`: settings of the policy trained last, where a training without a search takes them;
`today` and `hour`: for jobs whose result depends on the age of rows, or on what time it is."""


def as_json(value: Mapping[str, Any]) -> str:
    """One spelling of a mapping, to be hashed or kept."""
    return json.dumps(value, sort_keys=True, default=str)
