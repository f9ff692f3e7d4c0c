"""What a report rests on, read once from a home."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from rapport.card.document import Card, read_card
from rapport.errors import ConfigError, DataError, TooLittleDataError
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.policies import load_dataset
from rapport.pipeline.runs import Runs
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Policy, Scores
from rapport.release import current
from rapport.release_manifest import VERDICT
from rapport.schema import EVENT_TABLES
from rapport.scratch import replace_text

PURPOSE = "analytics"
_MAY_LACK = (
    "compute_rewards",
    "segment_personas",
    "train_scorers",
    "train_adapters",
    "train_policy",
    "evaluate_release",
)
"""Jobs that a log can be too small for, in their order."""
SHOWN = "shown"
"""Folder in a home of what a demo showed: replies side by side, the gate at work."""


def keep_shown(home: Home, name: str, value: object) -> None:
    """Keep something that was shown, as JSON, for a later report; replaces what was kept before."""
    folder = home.work / SHOWN
    folder.mkdir(exist_ok=True)
    replace_text(folder / f"{name}.json", json.dumps(value, indent=1) + "\n")


@dataclass(frozen=True)
class Facts:
    """A home's log and what was learned from it; everything is read when first asked for."""

    home: Home
    lake: Lake
    tenant: str

    @cached_property
    def release(self) -> Path | None:
        """Folder of the release that serves."""
        return current(self.home.releases)

    @cached_property
    def verdict(self) -> dict[str, Any] | None:
        """The gate's verdict on the release that serves, else on the newest candidate."""
        if self.judged is None:
            return None
        found: dict[str, Any] = json.loads((self.judged / VERDICT).read_text(encoding="utf-8"))
        return found

    @cached_property
    def judged(self) -> Path | None:
        """Folder of the release that serves, else of the newest candidate, with a verdict."""
        folders = [self.release] if self.release else []
        folders += sorted(
            (self.home.releases / ".candidates").glob("*"), key=lambda path: -path.stat().st_mtime
        )
        return next((folder for folder in folders if (folder / VERDICT).exists()), None)

    @cached_property
    def card(self) -> Card | None:
        """The empathy card that was made with the verdict; none in releases of before."""
        return read_card(self.judged) if self.judged else None

    @cached_property
    def skipped(self) -> dict[str, dict[str, Any]]:
        """What jobs whose last run found too little had too little of, as the error states it."""
        runs = Runs(self.lake, tenant=self.tenant)
        last = {job: runs.latest(job) for job in _MAY_LACK}
        short = {job: run for job, run in last.items() if run and run.result}
        return {
            job: run.facts for job, run in short.items() if run.error == TooLittleDataError.code
        }

    @property
    def unjudged(self) -> str:
        """Why there is no verdict, or what would bring one."""
        if not self.skipped:
            return "No candidate was judged yet: rapport run."
        jobs = " and ".join(self.skipped)
        return f"No candidate was judged: the log is too small for {jobs}, see the advice below."

    @property
    def data(self) -> PolicyDataset | None:
        """Every decision that may be learned from, as the policy sees it."""
        return self._loaded[0]

    @property
    def missing(self) -> str:
        """Why there is no `data`; empty where there is."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[PolicyDataset | None, str]:
        try:
            found = load_dataset(self.lake, self.home, tenant=self.tenant, release=self.release)
        except (ConfigError, DataError) as error:
            return None, str(error)
        return (found, "") if len(found) else (None, "the log holds no decisions to learn from")

    @cached_property
    def policy(self) -> Policy | None:
        """The policy that serves."""
        return Policy.load(self.release / "policy") if self.release else None

    @cached_property
    def scores(self) -> Scores | None:
        """What the serving policy thinks of the gate users' decisions."""
        rows = self.gate
        if self.policy is None or rows is None or self.policy.layout != rows.layout:
            return None
        return self.policy.decide(rows.situation, mask=rows.mask, explore=rows.explore)

    @cached_property
    def gate(self) -> PolicyDataset | None:
        """Decisions of users that taught the policy nothing."""
        rows = None if self.data is None else self.data.part("gate")
        return rows if rows is not None and len(rows) else None

    def events(self, table: str, *columns: str) -> pl.DataFrame:
        """This tenant's rows of a table; of event tables those that allow analytics."""
        purpose = PURPOSE if table in EVENT_TABLES else None
        rows = self.lake.scan(table, purpose=purpose).filter(pl.col("tenant") == self.tenant)
        return rows.select(columns).collect()

    def kept(self, name: str) -> Any:  # noqa: ANN401  (any JSON)
        """What a demo left in this home under a name; none where there was no demo."""
        path = self.home.work / SHOWN / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def part(self, name: str) -> Path | None:
        """Folder of a part, of the release that serves, else of the last run."""
        base = self.release or self.home.work
        return base / name if (base / name).is_dir() else None
