"""What jobs left of users in the work folder: in simulated logs, lists of users, caches, logs."""

import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rapport.home import Home

_KEY_LIKE = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True)
class Names:
    """What some users are called."""

    tenant: str
    raw: frozenset[str]
    """Ids as the outside knows them."""
    keys: frozenset[str]
    """Keyed hashes."""

    @property
    def all(self) -> frozenset[str]:
        """Either."""
        return self.raw | self.keys


def erase_leftovers(home: Home, names: Names) -> dict[str, int]:
    """Take users out of every file under the home's work and log folders.

    Of a table their rows go, of a JSON document the entries that name them; any other file that
    names them is removed, for whoever made it can make it again. Each file changes at once.

    Returns:
        `rows` of tables, `entries` of documents, `files` removed.
    """
    counts = {"rows": 0, "entries": 0, "files": 0}
    keys = {key.encode() for key in names.keys}
    for path in sorted(p for folder in (home.work, home.logs) for p in folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".parquet" and (gone := _from_table(path, names)) is not None:
            counts["rows"] += gone
        elif keys.intersection(_KEY_LIKE.findall(path.read_bytes())):
            kind, count = _from_file(path, names)
            counts[kind] += count
    return counts


def _from_table(path: Path, names: Names) -> int | None:
    """Rows taken out, none where it has no `user_id` or cannot be read."""
    try:
        rows = pl.scan_parquet(path)
        columns = rows.collect_schema()
        if "user_id" not in columns:
            return None
        theirs = pl.col("user_id").is_in(list(names.keys))
        here = pl.col("tenant") == names.tenant if "tenant" in columns else pl.lit(value=True)
        theirs |= here & pl.col("user_id").is_in(list(names.raw))
        gone = int(rows.filter(theirs).select(pl.len()).collect().item())
    except pl.exceptions.PolarsError:
        return None
    if gone:
        fresh = _beside(path)
        rows.filter(~theirs).collect().write_parquet(fresh)
        fresh.replace(path)
    return gone


def _from_file(path: Path, names: Names) -> tuple[str, int]:
    try:
        document = json.loads(path.read_bytes()) if path.suffix == ".json" else None
    except ValueError:
        document = None
    if document is None:
        path.unlink()
        return "files", 1
    kept, gone = _without(document, names.keys)
    fresh, stamp = _beside(path), path.stat()
    fresh.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    # The newest candidate is told by the age of such a file.
    os.utime(fresh, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    fresh.replace(path)
    return "entries", gone


def _without(value: Any, keys: Collection[str]) -> tuple[Any, int]:  # noqa: ANN401
    """A document without what names them, and how much that was."""
    if isinstance(value, dict):
        parts = {k: _without(v, keys) for k, v in value.items() if k not in keys}
        gone = len(value) - len(parts) + sum(count for _, count in parts.values())
        return {k: v for k, (v, _) in parts.items()}, gone
    if isinstance(value, list):
        kept = [_without(v, keys) for v in value if not (isinstance(v, str) and v in keys)]
        return [v for v, _ in kept], len(value) - len(kept) + sum(count for _, count in kept)
    if isinstance(value, str) and any(key in value for key in keys):
        return None, 1
    return value, 0


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
