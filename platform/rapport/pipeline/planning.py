"""What a job would read, write and take: `--dry-run`."""

from typing import Any

from rapport.config import JobConfig
from rapport.home import home_of
from rapport.lake import Lake
from rapport.pipeline.job import Job, Result, Snapshot, reasons_to_run, snapshot
from rapport.pipeline.ports import Desk
from rapport.pipeline.runs import Run

_UNKNOWN = "nothing: no earlier run, and no rate is stated"


def plan(job: Job[Any], config: JobConfig, *, name: str, forced: bool = False) -> Result:
    """Say what a run would do now; writes nothing, and makes no home.

    Returns:
        `would_run` and `because`; `reads` and `writes`, tables with version and rows, parts with
        their digest; `seconds` and what they are `estimated_from`; the resolved `settings`.
    """
    home = home_of(config, make=False)
    desk = Desk(config, home, Lake(config.lake.uri or home.lake))
    found, last = snapshot(desk, job.reads), desk.runs.latest(name)
    reasons = ["--force"] if forced else reasons_to_run(desk, found=found, last=last)
    return {
        "job": name,
        "would_run": bool(reasons),
        "because": reasons or ["nothing changed since its last run"],
        "reads": _shown(job.reads, found),
        "writes": _shown(job.writes, snapshot(desk, job.writes)),
        **cost_of(job, desk, found, name=name, idle=not reasons),
        "settings": config.model_dump(mode="json"),
    }


def _shown(names: tuple[str, ...], found: Snapshot) -> dict[str, dict[str, Any] | None]:
    """Tables and parts as they are; none for a part that is not there."""
    shown: dict[str, dict[str, Any] | None] = {}
    for name in names:
        if name in found.versions:
            shown[name] = {"version": found.versions[name], "rows": found.rows[name]}
        else:
            shown[name] = {"digest": found.parts[name][:16]} if name in found.parts else None
    return shown


def cost_of(
    job: Job[Any], desk: Desk, found: Snapshot, *, name: str, idle: bool = False
) -> dict[str, Any]:
    """Seconds a run would take, bounded by its budget, and where that number is from."""
    if idle:
        return {"seconds": 0.0, "estimated_from": "nothing to do"}
    rows = sum(found.rows.values())
    done = desk.runs.latest(name, status="done")
    if done is not None:
        seconds, source = _scaled(done, rows), f"run {done.run_id}, by rows read"
    elif job.rows_per_s is not None:
        seconds, source = rows / job.rows_per_s, f"a rate of {job.rows_per_s:g} rows/s on 2 cores"
    else:
        return {"seconds": None, "estimated_from": _UNKNOWN}
    budget = desk.config.seconds
    if budget is not None and seconds > budget:
        seconds, source = budget, f"its budget ({source} would give {seconds:.0f} s)"
    return {"seconds": round(seconds, 1), "estimated_from": source}


def _scaled(done: Run, rows: int) -> float:
    before = sum(done.rows_in.values())
    return done.seconds * (rows / before if before else 1.0)
