"""What a demo has done in a home, so that the next one goes on after it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from rapport.config import JobConfig, resolve
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.job import code_version, config_hash
from rapport.pipeline.ports import digest_tree
from rapport.pipeline.settings import (
    AdaptersConfig,
    EmbedConfig,
    EvaluateConfig,
    ScorersConfig,
    SegmentConfig,
    TrainPolicyConfig,
)
from rapport.scratch import replace_text

_FILE = "demo.json"
_PARTS = {
    "embed_users": "encoder",
    "segment_personas": "personas",
    "train_scorers": "strategies",
    "train_adapters": "adapters",
}
"""Folder of the work folder that a step leaves."""
_LOG = "ingest_logs"
_TABLES = ("turns", "decisions", "feedback")
_SETTINGS: Mapping[str, type[JobConfig]] = {
    "embed_users": EmbedConfig,
    "segment_personas": SegmentConfig,
    "train_scorers": ScorersConfig,
    "train_adapters": AdaptersConfig,
    "train_policy": TrainPolicyConfig,
    "evaluate_release": EvaluateConfig,
}
"""Whose settings make a demo another one."""


class Journal:
    """Steps of a demo with their results, kept in the home as each one ends.

    A step counts as done as long as the settings and the code are those of that demo, what it left
    still stands, and the same holds for every step before it. The log may have grown by what was
    served, by nothing else.

    Args:
        home: Where the demo runs.
        sets: `key=value` settings of every job.
        about: What else makes a demo another one: its data, its users.
    """

    def __init__(self, home: Home, *, sets: list[str], about: Mapping[str, object]) -> None:
        self._home, self._path = home, home.work / _FILE
        settings = [
            config_hash(resolve(config, section=job, sets=sets, flags={"home": home.root}))
            for job, config in _SETTINGS.items()
        ]
        whole = json.dumps([code_version(), settings, dict(about)], default=str)
        self._key = hashlib.sha256(whole.encode()).hexdigest()
        self._kept = self._read()
        self._steps: dict[str, Any] = {}

    @property
    def goes_on(self) -> int:
        """How many steps an earlier demo left."""
        return len(self._kept)

    def take(self, label: str) -> dict[str, Any] | None:
        """What a step returned in an earlier demo, with `at`, its end; none where it is to do."""
        found = self._kept.get(label)
        if found is None or found["left"] != self._left(label):
            self._kept = {}  # what came later rests on this
            return None
        self._steps[label] = found
        return {**found["result"], "at": found["at"]}

    def note(self, label: str, result: Mapping[str, Any]) -> None:
        """Keep what a step returned; what an earlier demo did after it counts no more."""
        self._kept = {}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._steps[label] = {"at": now, "left": self._left(label), "result": dict(result)}
        whole = {"key": self._key, "steps": self._steps}
        replace_text(self._path, json.dumps(whole, indent=1, default=str) + "\n")

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text(encoding="utf-8"))
        steps: dict[str, Any] = kept["steps"] if kept["key"] == self._key else {}
        return steps

    def _left(self, label: str) -> str | None:
        """Names what a step left, as it is now; none for a step that leaves nothing to look at."""
        if label == _LOG:
            return json.dumps(ingested_rows(Lake(self._home.lake)))
        part = _PARTS.get(label)
        return digest_tree(self._home.work / part) if part else None


def ingested_rows(lake: Lake) -> dict[str, int]:
    """Rows of each table that were not served here."""
    return {name: _rows(lake, name, pl.col("source") != "serve") for name in _TABLES}


def served_decisions(lake: Lake) -> int:
    """Decisions in the lake that were served here."""
    return _rows(lake, "decisions", pl.col("source") == "serve")


def _rows(lake: Lake, table: str, which: pl.Expr) -> int:
    rows = lake.scan(table, purpose="analytics").filter(which)
    return int(rows.select(pl.len()).collect().item())


def when(at: str) -> str:
    """A moment of the journal for people, in UTC."""
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M UTC")
