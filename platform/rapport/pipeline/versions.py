"""Old versions of the lake's tables: who needs them, and what is known once they are gone."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import polars as pl

from rapport.home import Home
from rapport.lake import Lake
from rapport.release import CANDIDATES, list_releases
from rapport.scratch import sync

NOT_RETRAINABLE = "not re-trainable"
"""The `part` of a row of `lineage` which says that a table's version is gone."""

FLAG = "forgetting"
"""File in the home that is there while something is being forgotten."""

Versions = Mapping[str, int]
"""Delta version by table."""


def named_versions(home: Home, lake: Lake) -> dict[str, Versions]:
    """Table versions that releases and candidates were made from, by release id.

    Releases of other homes on the same lake are known by its lineage. A version that is marked
    as gone is left out.
    """
    named: dict[str, dict[str, int]] = {}
    lineage = lake.scan("lineage").collect()
    for row in lineage.filter(pl.col("part") == "log").iter_rows(named=True):
        named.setdefault(row["release_id"], {})[row["table"]] = row["table_version"]
    for release in list_releases(home.releases):
        if release.manifest is not None:
            named.setdefault(release.release_id, {}).update(release.manifest.table_versions)
    for folder in (home.releases / CANDIDATES).glob("*"):
        path = home.work / "origins" / f"{folder.name}.json"
        if path.exists():
            stated = json.loads(path.read_text(encoding="utf-8"))
            named.setdefault(folder.name, {}).update(stated["table_versions"])
    gone = set(_marks(lineage).select("release_id", "table").iter_rows())
    return {
        release: {
            table: version
            for table, version in versions.items()
            if version >= 0 and (release, table) not in gone
        }
        for release, versions in named.items()
    }


def not_retrainable(lake: Lake) -> dict[str, list[str]]:
    """Tables whose versions are gone, by the release that was made from them."""
    marks = _marks(lake.scan("lineage").collect())
    tables = marks.group_by("release_id").agg(pl.col("table").unique().sort())
    return {release: list(names) for release, names in tables.sort("release_id").iter_rows()}


def mark_not_retrainable(home: Home, lake: Lake, tables: Collection[str]) -> list[str]:
    """Note which releases cannot be trained again once these tables have forgotten.

    To be called before they forget: a crash between the two leaves a mark too many, never one
    too few.

    Returns:
        Ids of the releases that got a mark.
    """
    rows = [
        {
            "release_id": release,
            "part": NOT_RETRAINABLE,
            "table": table,
            "table_version": version,
        }
        for release, versions in named_versions(home, lake).items()
        for table, version in versions.items()
        if table in tables
    ]
    lake.append("lineage", rows, writer="versions")
    return sorted({str(row["release_id"]) for row in rows})


@contextmanager
def forgetting(home: Home) -> Iterator[None]:
    """Note in the home that something is being forgotten, until it is."""
    flag = home.root / FLAG
    flag.touch()
    sync(home.root)
    yield
    flag.unlink()


def was_cut_off(home: Home) -> bool:
    """Whether a process died amid forgetting: rows may be gone whose bytes are not."""
    return (home.root / FLAG).exists()


def _marks(lineage: pl.DataFrame) -> pl.DataFrame:
    return lineage.filter(pl.col("part") == NOT_RETRAINABLE)
