"""Run records: what each job read, wrote, took and returned, as rows of the table `runs`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

import polars as pl

from rapport.lake import Lake

Status = Literal["done", "refused", "stopped", "failed", "interrupted", "killed"]
"""`refused`: the gate's no, a result; `stopped`: at its budget, with work left over; `killed`:
noted by the next run of the same job, since a killed one notes nothing."""
FINISHED: tuple[Status, ...] = ("done", "refused")
_WRITER = "runs"
_MAPS = ("versions_in", "versions_out", "rows_in", "rows_out", "parts_in", "parts_out")


@dataclass(frozen=True)
class Run:
    """One run of one job."""

    tenant: str
    run_id: str
    job: str
    status: Status
    started: datetime
    seconds: float
    host: str
    pid: int
    code_version: str
    config: str
    config_hash: str
    inputs_hash: str
    peak_memory_bytes: int | None = None
    versions_in: Mapping[str, int] = field(default_factory=dict)
    versions_out: Mapping[str, int] = field(default_factory=dict)
    rows_in: Mapping[str, int] = field(default_factory=dict)
    rows_out: Mapping[str, int] = field(default_factory=dict)
    parts_in: Mapping[str, str] = field(default_factory=dict)
    parts_out: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    """Code of an error; its message may name files and is not kept."""
    result: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it left everything it was to leave."""
        return self.status in FINISHED

    @property
    def facts(self) -> dict[str, Any]:
        """What the job returned."""
        found: dict[str, Any] = json.loads(self.result or "{}")
        return found


class Runs:
    """Read and append a tenant's run records."""

    def __init__(self, lake: Lake, *, tenant: str) -> None:
        self._lake, self._tenant = lake, tenant

    def latest(self, job: str, *, status: Status | None = None) -> Run | None:
        """The run of a job that started last, whatever became of it, or of one status."""
        rows = self._lake.scan("runs").filter(
            pl.col("tenant") == self._tenant, pl.col("job") == job
        )
        if status is not None:
            rows = rows.filter(pl.col("status") == status)
        found = rows.sort("started", "run_id").tail(1).collect().to_dicts()
        return _run(found[0]) if found else None

    def note(self, run: Run) -> None:
        """Append a run."""
        self._lake.append("runs", [asdict(run)], writer=_WRITER)


def _run(row: Mapping[str, Any]) -> Run:
    values = {each.name: row[each.name] for each in fields(Run)}
    return Run(**values | {name: dict(values[name] or {}) for name in _MAPS})
