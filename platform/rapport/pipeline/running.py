"""The one shape of a job: command line -> frozen config -> one call -> a result and a record."""

import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rapport.config import resolve
from rapport.errors import GateRefusedError, RapportError, StoppedError, TooLittleDataError
from rapport.home import home_of
from rapport.lake import lake_of
from rapport.peak import Peak, peak_memory
from rapport.pipeline.job import (
    C,
    Job,
    Result,
    Snapshot,
    code_version,
    config_hash,
    inputs_hash,
    reasons_to_run,
    snapshot,
)
from rapport.pipeline.planning import cost_of, plan
from rapport.pipeline.ports import Desk, as_json
from rapport.pipeline.rehearsal import rehearsed
from rapport.pipeline.runs import Run, Status
from rapport.progress import working
from rapport.runner import command_line, of_machine, show, sigterm_unwinds, tell
from rapport.schema import new_id
from rapport.scratch import clear_stale

_HOLDER = re.compile(r"process (?P<pid>\d+) on (?P<host>\S+) since (?P<since>\S+)")


def run_job(job: Job[C], *, file: str) -> int:
    """Run a job from the command line and return its exit code.

    Settings: the config's defaults < `configs/<job>.yaml` beside the job's file < `rapport.toml` <
    environment < `--set a.b=c` < `--home`; `--config FILE` stands in place of both files.
    `--dry-run` says what would be read, written and spent, and writes nothing. A job whose inputs
    did not change since its last run does nothing and says so; `--force` runs it anyway. A second
    run of the same job in the same home is refused, exit code 2. The result is one JSON object on
    stdout with `--json`, else lines for people; it becomes a row of the table `runs`. Errors of
    ours end with their message and exit code; a result with `refused` true is the gate's no, and
    the exit code 3. What the log is too small for is skipped: the result says why and what would
    help, and the exit code is 0.
    """
    name = Path(file).stem
    arguments = command_line(name).parse_args()
    default = Path(file).parent / "configs" / f"{name}.yaml"
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    try:
        given = resolve(
            job.config,
            file=arguments.config,
            defaults=None if arguments.config or not default.exists() else default,
            section=name,
            sets=arguments.set,
            flags={"home": arguments.home},
        )
        if arguments.dry_run:
            result: Result = plan(job, given, name=name, forced=arguments.force)
        else:
            with sigterm_unwinds(), rehearsed(given) as config:
                result = execute(job, config, name=name, forced=arguments.force)
    except TooLittleDataError as error:
        result = {"skipped": str(error)}
    except RapportError as error:
        return tell(error, who=name, as_json=arguments.json)
    except (OSError, MemoryError) as error:
        lacking = of_machine(error)
        if lacking is None:
            raise
        return tell(lacking, who=name, as_json=arguments.json)
    except KeyboardInterrupt:
        return tell(StoppedError(signal.SIGINT), who=name, as_json=arguments.json)
    except SystemExit:  # ours, or the one that Ray raises on SIGTERM
        return tell(StoppedError(signal.SIGTERM), who=name, as_json=arguments.json)
    show(result, as_json=arguments.json)
    return GateRefusedError.exit_code if result.get("refused") else 0


def execute(job: Job[C], config: C, *, name: str, forced: bool = False) -> dict[str, Any]:
    """Run a job in its home, unless nothing changed since its last run there.

    Returns:
        What the job returned, with `seconds`, and `over_budget_s` where it could not keep to its
        budget; or what its last run returned, with `unchanged`
        and, under `repeats`, which run that was.

    Raises:
        LockedError: The same job runs in this home already.
    """
    home = home_of(config)
    with home.lock(name) as died:
        clear_stale(home.work)
        desk = Desk(config, home, lake_of(config))
        if died:
            _note_killed(desk, name, died)
        found, last = snapshot(desk, job.reads), desk.runs.latest(name)
        if last and not forced and not reasons_to_run(desk, found=found, last=last):
            repeats = {"run_id": last.run_id, "started": last.started.isoformat("T", "seconds")}
            return {**last.facts, "job": name, "unchanged": True, "repeats": repeats}
        started = time.monotonic()
        with _recorded(job, desk, name=name, found=found) as result:
            with working(name, cost_of(job, desk, found, name=name)["seconds"]):
                result.update(job.call(config))
            result["seconds"] = round(time.monotonic() - started, 1)
            if config.seconds is not None and result["seconds"] > config.seconds:
                result["over_budget_s"] = round(result["seconds"] - config.seconds, 1)
        return result


@contextmanager
def _recorded(job: Job[Any], desk: Desk, *, name: str, found: Snapshot) -> Iterator[dict[str, Any]]:
    """Note a run in the lake, however it ends short of a kill; yields its result to be filled."""
    result: dict[str, Any] = {}
    run, clock, peak = _opened(desk, name, found), time.monotonic(), Peak()
    try:
        with peak_memory() as peak:
            yield result
        run = replace(run, status=_ended(result), result=as_json(result))
        left = snapshot(desk, job.writes)
        run = replace(run, versions_out=left.versions, rows_out=left.rows, parts_out=left.parts)
    except (KeyboardInterrupt, SystemExit):
        run = replace(run, status="interrupted")
        raise
    except TooLittleDataError as error:
        run = replace(run, error=error.code, result=as_json(error.facts))
        raise
    except RapportError as error:
        run = replace(run, error=error.code)
        raise
    finally:
        seconds = time.monotonic() - clock
        desk.runs.note(replace(run, seconds=seconds, peak_memory_bytes=peak.bytes))


def _opened(desk: Desk, name: str, found: Snapshot) -> Run:
    """The record of a run that just began; it failed until it is said otherwise."""
    config = desk.config
    return Run(
        tenant=config.tenant,
        run_id=new_id(),
        job=name,
        status="failed",
        started=datetime.now(UTC),
        seconds=0.0,
        host=socket.gethostname(),
        pid=os.getpid(),
        code_version=code_version(),
        config=config.model_dump_json(),
        config_hash=config_hash(config),
        inputs_hash=inputs_hash(config, found),
        versions_in=found.versions,
        rows_in=found.rows,
        parts_in=found.parts,
    )


def _ended(result: Mapping[str, Any]) -> Status:
    if result.get("left"):
        return "stopped"
    return "refused" if result.get("refused") else "done"


def _note_killed(desk: Desk, name: str, died: str) -> None:
    """Note the run whose process held the job's lock and is gone."""
    said = _HOLDER.fullmatch(died)
    if said is None:  # killed while it wrote its own name: it had not begun
        return
    nothing = Snapshot({}, {}, {})
    run = replace(
        _opened(desk, name, nothing),
        status="killed",
        started=datetime.fromisoformat(said["since"]),
        host=said["host"],
        pid=int(said["pid"]),
        config="{}",
        config_hash="",
        inputs_hash="",
    )
    desk.runs.note(run)
