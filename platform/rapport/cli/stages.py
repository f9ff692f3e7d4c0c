"""Run jobs as subprocesses and read back the one JSON object each prints."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rapport.errors import RapportError, UnknownNameError
from rapport.runner import sigterm_unwinds

PIPELINE = (
    "relay_outbox",
    "embed_users",
    "label_arms",
    "compute_rewards",
    "train_scorers",
    "segment_personas",
    "train_adapters",
    "train_policy",
    "evaluate_release",
    "promote_release",
)
"""Jobs of the circle after ingest, in order."""

NEEDS: Mapping[str, Sequence[str]] = {
    "compute_rewards": ("embed_users",),
    "segment_personas": ("embed_users",),
    "train_adapters": ("compute_rewards", "train_scorers", "segment_personas"),
    "train_policy": ("train_adapters",),
    "evaluate_release": ("train_policy",),
    "promote_release": ("evaluate_release",),
}
"""Jobs that one cannot do without: where one of them was skipped, it is skipped too."""

QUIET_RAY = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_AIR_NEW_OUTPUT": "0", "OMP_NUM_THREADS": "1"}
"""Environment of a job: Ray's warnings stay in its log files. One thread a process; jobs that can
use more set the number themselves."""
JOBS = ("ingest_logs", *PIPELINE, "compact_lake", "propose_nudges")
GATE_REFUSED = 3
_GRACE_S = 20  # for a job to end its Ray session; then it is killed
_PR_SET_PDEATHSIG = 1


class JobFailedError(RapportError):
    """A job ended with an error, whose words these are; what it did not expect is on stderr."""

    code = "job_failed"

    def __init__(self, job: str, status: int, told: Mapping[str, str] | None = None) -> None:
        super().__init__(job, status, told)
        self.job, self.told, self.exit_code = job, told, status if status > 0 else 1
        if told:
            self.code = told["code"]

    def __str__(self) -> str:
        if self.told:
            return f"{self.job}: {self.told['message']}"
        return f"job {self.job!r} ended with exit code {self.exit_code}; its message is above"


def run_stage(
    job: str,
    *,
    home: Path,
    sets: Sequence[str] = (),
    config: Path | None = None,
    address: str | None = None,
    flags: Sequence[str] = (),
) -> dict[str, Any]:
    """Run one job to its end and return its result.

    Progress and messages of the job go to this process's stderr. Inside a run a gate's refusal
    is a result, not a failure. The job does not outlive this process: it is ended with it, and
    on Linux also where this process is killed.

    Args:
        job: Name of a job.
        home: Folder of the installation.
        sets: `key=value` settings.
        config: Settings file in place of rapport.toml.
        address: Ray cluster to run on; none starts a local one.
        flags: Further flags of the job, `--force` or `--dry-run`.

    Raises:
        UnknownNameError: No such job.
        JobFailedError: It ended with an error.
    """
    if job not in JOBS:
        raise UnknownNameError("job", job, JOBS)
    command = [sys.executable, "-m", f"rapport_jobs.{job}", "--json", "--home", str(home), *flags]
    command += [part for pair in sets for part in ("--set", pair)]
    environment = {**QUIET_RAY, **os.environ}
    if config:
        environment["RAPPORT_CONFIG"] = str(config.absolute())
    if address:
        environment["RAY_ADDRESS"] = address
    status, printed = _to_its_end(command, environment)
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if status not in (0, GATE_REFUSED):
        raise JobFailedError(job, status, result.get("error"))
    return result


def run_stages(
    jobs: Sequence[str],
    *,
    home: Path,
    sets: Sequence[str] = (),
    config: Path | None = None,
    address: str | None = None,
    flags: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Run jobs in order and yield each one's result with its name, as `run_stage` takes them.

    A setting `job.key=value` is for that job alone. A job that needs one which was skipped, since
    the log is too small for it, is skipped too.
    """
    skipped: set[str] = set()
    for job in jobs:
        reason = skipped_for(job, skipped)
        if reason:
            result: dict[str, Any] = {"skipped": reason}
        else:
            own = settings_for(job, sets)
            result = run_stage(
                job, home=home, sets=own, config=config, address=address, flags=flags
            )
        skipped |= {job} if "skipped" in result else set()
        yield {"job": job, **result}


def skipped_for(job: str, skipped: Collection[str]) -> str | None:
    """Why a job is skipped after others were, none where nothing it needs is missing."""
    missing = [needed for needed in NEEDS.get(job, ()) if needed in skipped]
    if not missing:
        return None
    named = " and ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
    return f"it needs {named}, skipped above"


def settings_for(job: str, sets: Sequence[str]) -> list[str]:
    """Those of some settings that a job takes: `job.key=value` is for that job alone."""
    taken = []
    for pair in sets:
        head, _, rest = pair.partition(".")
        if head not in JOBS:
            taken.append(pair)
        elif head == job:
            taken.append(rest)
    return taken


def _to_its_end(command: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and stdout of a command that is ended when this process is."""
    with (
        sigterm_unwinds(),
        subprocess.Popen(  # noqa: S603  our own module, arguments as a list
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C ends it once, through `_end`, not also by itself
            preexec_fn=bound(os.getpid()),  # noqa: PLW1509  (one system call; no lock is taken)
        ) as process,
    ):
        try:
            printed, _ = process.communicate()
        finally:
            _end(process)
        return process.returncode, printed


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C waits no longer
        os.killpg(process.pid, signal.SIGKILL)


def bound(parent: int) -> Callable[[], None] | None:
    """What a child does first: ask the kernel for SIGTERM when its parent dies."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)

    def bind() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return bind
