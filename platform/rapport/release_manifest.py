"""What a release is: its manifest, its hashes, its names."""

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rapport.errors import BrokenReleaseError
from rapport.schema import SCHEMA_VERSION

MANIFEST, VERDICT = "manifest.json", "verdict.json"
CARD, CARD_PAGE = "card.json", "card.html"
"""The empathy card, for machines and for people."""
JUDGEMENTS = (VERDICT, CARD, CARD_PAGE)
"""Written about a candidate after it was staged; they are no part of what its id names."""

_KEY_LIKE = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_MOODS = (
    "able bold brave bright brisk calm civil clear deft eager early fair fond frank fresh gentle "
    "glad hardy humble keen kind light lively loyal lucid mellow merry mild modest neat noble open "
    "patient placid plain polite proud quick quiet ready robust rosy serene sharp shy simple sleek "
    "smart snug sober solid spry steady still sunny sure swift tidy trim true vivid warm wise witty"
)
_ANIMALS = (
    "adder badger bat bear beaver bee bison boar cat cod crane crow deer dove duck eagle egret elk "
    "falcon ferret finch fox frog goat goose hare hawk heron horse ibis jay kite koala lark lemur "
    "lion llama lynx magpie mole moose moth mouse newt otter owl panda pike plover puffin quail "
    "raven robin salmon seal shrew sloth sparrow stoat stork swan swift tern toad trout vole walrus"
)


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Metric(_Facts):
    """One measured number of a release, with its 95 % interval."""

    name: str
    group: str = "all"
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int


class JobRecord(_Facts):
    """What it takes to run one job of a release again."""

    settings: Mapping[str, Any]
    """As resolved; where the home lies is none of them."""
    found: Mapping[str, Any] = {}
    """What the job chose by a search; a rebuild takes it and searches no more."""
    table_versions: Mapping[str, int]
    """Delta version of each table when the job had run; -1 for one not written."""
    models: Mapping[str, str]
    """Name and hash of each model by its URI."""
    code_version: str


class Manifest(_Facts):
    """What a release is and where it comes from."""

    schema_version: int = SCHEMA_VERSION
    release_id: str
    """16 hex digits of sha256 over the sorted hashes of `files`, those of judgements left out."""
    alias: str
    """The id in words."""
    created: datetime
    parents: tuple[str, ...]
    """Releases this one was made from."""
    code_version: str
    seeds: Mapping[str, int]
    table_versions: Mapping[str, int]
    """Delta version of each lake table that was read."""
    users: Mapping[str, int]
    """How many users each part learned from."""
    lineage_root: str
    """HMAC-SHA256 over the parts' sorted users, 64 hex digits; the users lie in the lake."""
    jobs: Mapping[str, JobRecord] = {}
    """Jobs that made its parts, in their order; none in releases of before."""
    files: Mapping[str, str]
    """sha256 of each file by its path, manifest left out."""
    metrics: tuple[Metric, ...] = ()
    verdict: Mapping[str, Any] | None = None
    """Contents of verdict.json."""


@dataclass(frozen=True)
class Origin:
    """What a release comes from; of the users only counts and a root hash are kept."""

    code_version: str
    lineage: Mapping[str, Collection[str]]
    """Keyed user ids each part learned from."""
    salt: bytes
    """Secret of the home."""
    parents: Sequence[str] = ()
    seeds: Mapping[str, int] | None = None
    table_versions: Mapping[str, int] | None = None
    jobs: Mapping[str, JobRecord] | None = None


def manifest_of(candidate: Path, origin: Origin, metrics: Sequence[Metric]) -> Manifest:
    """Manifest a candidate gets when it is published now.

    Raises:
        BrokenReleaseError: A link, no file at all, or a verdict that is not JSON.
    """
    files = _hashes(candidate)
    release_id = _id(files)
    return Manifest(
        release_id=release_id,
        alias=alias_of(release_id),
        created=datetime.now(UTC),
        parents=tuple(origin.parents),
        code_version=origin.code_version,
        seeds=origin.seeds or {},
        table_versions=origin.table_versions or {},
        jobs=origin.jobs or {},
        users={part: len(set(users)) for part, users in origin.lineage.items()},
        lineage_root=lineage_root(origin.lineage, salt=origin.salt),
        files=files,
        metrics=tuple(metrics),
        verdict=_verdict(candidate),
    )


def folder_id(folder: Path) -> str:
    """Id a release of this folder's files would have, 16 hex digits.

    Raises:
        BrokenReleaseError: A link, or no file at all.
    """
    return _id(_hashes(folder))


def read_manifest(folder: Path) -> Manifest:
    """Manifest of a release, checked against its own seal.

    Raises:
        BrokenReleaseError: It is missing, unreadable or altered.
    """
    try:
        text = (folder / MANIFEST).read_bytes().decode("utf-8")
        document = json.loads(text)
        seal = document.pop("seal")
        manifest = Manifest.model_validate(document)
    except FileNotFoundError:
        raise BrokenReleaseError(folder.name, MANIFEST, "it is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it cannot be read ({type(error).__name__})"
        raise BrokenReleaseError(folder.name, MANIFEST, reason) from error
    # The text too: a flipped blank changes no fact, and is no less a sign of a failing disk.
    if seal != _seal(document) or text != _text(document, seal):
        raise BrokenReleaseError(folder.name, MANIFEST, "it was altered")
    return manifest


def verify(folder: Path) -> Manifest:
    """Recompute every hash of a release.

    Raises:
        BrokenReleaseError: Names the first file that is missing, altered or not in the manifest.
    """
    manifest = read_manifest(folder)
    found = _hashes(folder)
    for name in sorted({*found, *manifest.files}):
        expected = manifest.files.get(name)
        if expected is None:
            raise BrokenReleaseError(folder.name, name, "it is not in the manifest")
        if name not in found:
            raise BrokenReleaseError(folder.name, name, "it is missing")
        if found[name] != expected:
            raise BrokenReleaseError(folder.name, name, f"sha256 is {found[name]}, not {expected}")
    if not folder.name == manifest.release_id == _id(found):
        raise BrokenReleaseError(folder.name, MANIFEST, f"its content is {_id(found)}")
    return manifest


def lineage_root(lineage: Mapping[str, Collection[str]], *, salt: bytes) -> str:
    """Root hash of who taught what: HMAC-SHA256 over parts and their sorted users, 64 hex."""
    digest = hmac.new(salt, digestmod=hashlib.sha256)
    for part in sorted(lineage):
        digest.update(f"{part}\x1e".encode())
        for user_id in sorted(set(lineage[part])):
            digest.update(f"{user_id}\x1f".encode())
    return digest.hexdigest()


def alias_of(release_id: str) -> str:
    """Mood, animal and number (1 to 99) that follow from an id, such as `calm-otter-12`."""
    moods, animals = _MOODS.split(), _ANIMALS.split()
    place = int.from_bytes(hashlib.sha256(release_id.encode()).digest()[:8], "big")
    place, mood = divmod(place, len(moods))
    place, animal = divmod(place, len(animals))
    return f"{moods[mood]}-{animals[animal]}-{1 + place % 99}"


def refuse_users(candidate: Path, manifest: Manifest, origin: Origin) -> None:
    """Refuse a candidate in which a user of its lineage is named.

    Raises:
        BrokenReleaseError: Names the file, not the user.
    """
    users = {user.encode() for part in origin.lineage.values() for user in part}
    for name in manifest.files:
        if users.intersection(_KEY_LIKE.findall((candidate / name).read_bytes())):
            raise BrokenReleaseError(manifest.release_id, name, "it names a user")


def sealed(manifest: Manifest) -> str:
    """Text of manifest.json: the facts and a sha256 over them."""
    document = json.loads(manifest.model_dump_json())
    return _text(document, _seal(document))


def _verdict(candidate: Path) -> Mapping[str, Any] | None:
    path = candidate / VERDICT
    if not path.exists():
        return None
    try:
        verdict: Mapping[str, Any] = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except ValueError as error:
        raise BrokenReleaseError(candidate.name, VERDICT, "it is not JSON") from error
    return verdict


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and the infinities are no JSON


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BrokenReleaseError(folder.name, name, "it is a link")
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if not found:
        raise BrokenReleaseError(folder.name, ".", "it holds no files")
    return found


def _id(files: Mapping[str, str]) -> str:
    lines = [f"{name}\x00{files[name]}\n" for name in sorted(files) if name not in JUDGEMENTS]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _text(document: Mapping[str, Any], seal: str) -> str:
    return json.dumps({**document, "seal": seal}, indent=2, sort_keys=True) + "\n"


def _seal(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
