"""EPITOME's pairs of a seeker's post and a response, rated for three mechanisms of empathy.

Real posts of people in need: read to train or measure, never printed, never shipped.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport.errors import ConfigError

MECHANISMS = ("emotional_reactions", "interpretations", "explorations")
UNRATED = -1
_FILE = re.compile(
    r"(?P<name>emotional[-_]reactions|interpretations|explorations).*\.csv(\.gz)?", re.IGNORECASE
)
_COLUMNS = ("sp_id", "rp_id", "seeker_post", "response_post", "level", "rationales")


@dataclass(frozen=True)
class Pairs:
    """N pairs."""

    posts: list[str]
    replies: list[str]
    post_ids: NDArray[np.int64]
    """[N] number of the post; several replies may answer one."""
    levels: NDArray[np.int64]
    """[N, 3] 0 none, 1 weak, 2 strong; -1 where a mechanism was not rated."""
    rationales: list[tuple[str, str, str]]
    """The parts of the reply that show each mechanism, parted by `|`."""
    rows: int
    skipped: int

    def only(self, kept: NDArray[np.bool_]) -> "Pairs":
        """The pairs [N] that are kept, posts numbered anew."""
        places = np.flatnonzero(kept)
        return replace(
            self,
            posts=[self.posts[place] for place in places],
            replies=[self.replies[place] for place in places],
            post_ids=np.unique(self.post_ids[places], return_inverse=True)[1],
            levels=self.levels[places],
            rationales=[self.rationales[place] for place in places],
        )


def holds_pairs(path: Path) -> bool:
    """Whether a file or folder has the names of EPITOME's files."""
    return any(True for _ in _files(path))


def read_pairs(path: Path) -> Pairs:
    """Read a file of one mechanism, or a folder of several; the same pair may be in all.

    Raises:
        ConfigError: No such file, columns that are missing, or no pair that can be read.
    """
    reading = _Reading()
    for mechanism, file in _files(path):
        for row in _rows(file):
            reading.take(row, mechanism)
    if not reading.pairs:
        raise ConfigError(
            "--data", str(path), f"it holds no rated pair; give {', '.join(_COLUMNS)}"
        )
    found = list(reading.pairs.values())
    distinct = dict.fromkeys(one.post_id for one in found)
    numbers = {name: number for number, name in enumerate(distinct)}
    return Pairs(
        [one.post for one in found],
        [one.reply for one in found],
        np.array([numbers[one.post_id] for one in found]),
        np.array([one.levels for one in found]),
        [(one.rationales[0], one.rationales[1], one.rationales[2]) for one in found],
        reading.rows,
        reading.skipped,
    )


@dataclass
class _Pair:
    post_id: str
    post: str
    reply: str
    levels: list[int] = field(default_factory=lambda: [UNRATED] * len(MECHANISMS))
    rationales: list[str] = field(default_factory=lambda: [""] * len(MECHANISMS))


@dataclass
class _Reading:
    pairs: dict[tuple[str, str], _Pair] = field(default_factory=dict)
    rows: int = 0
    skipped: int = 0

    def take(self, row: Mapping[str, str | None], mechanism: int) -> None:
        self.rows += 1
        post_id, reply_id, post, reply, level, rationales = (row.get(name) for name in _COLUMNS)
        if not post_id or not reply_id or not post or not reply or level not in ("0", "1", "2"):
            self.skipped += 1
            return
        pair = self.pairs.setdefault((post_id, reply_id), _Pair(post_id, post, reply))
        pair.levels[mechanism] = int(level)
        pair.rationales[mechanism] = rationales or ""


def _files(path: Path) -> Iterator[tuple[int, Path]]:
    """Mechanism and file."""
    files: Sequence[Path] = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        named = _FILE.fullmatch(file.name)
        if named:
            yield MECHANISMS.index(named["name"].lower().replace("-", "_")), file


def _rows(file: Path) -> Iterator[Mapping[str, str | None]]:
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        remedy = f"give a readable csv ({type(error).__name__})"
        raise ConfigError("--data", file.name, remedy) from error
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = set(_COLUMNS) - {"rationales"} - set(rows.fieldnames or ())
    if missing:
        remedy = f"it has no column {', '.join(sorted(missing))}; EPITOME's files have {_COLUMNS}"
        raise ConfigError("--data", file.name, remedy)
    try:
        yield from rows
    except csv.Error as error:
        raise ConfigError("--data", file.name, f"it is no csv: {error}") from error
