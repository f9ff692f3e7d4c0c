"""`kill -9` of the pipeline at random moments: the next `rapport run` finishes what is missing."""

import json
import random
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable

from rapport.cli.stages import PIPELINE
from rapport.home import Home
from rapport.lake import Lake
from tests.jobs.small_pipeline import SmallPipeline, copied, ids
from tests.statistics.report import say

KILLS = 2
ORPHANS_END_S = 30


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return SmallPipeline(tmp_path_factory.mktemp("kills"))


@pytest.fixture(scope="module")
def undisturbed(pipeline):
    """Homes before and after each job of an undisturbed run, and how long each job took."""
    home = pipeline.folder / "home"
    pipeline.ingest(home)
    states, seconds = [copied(home, pipeline.folder / "state-0")], []
    for number, job in enumerate(PIPELINE, start=1):
        started = time.monotonic()
        pipeline.run(home, "run", job)
        seconds.append(time.monotonic() - started)
        states.append(copied(home, pipeline.folder / f"state-{number}"))
    say(f"undisturbed: {sum(seconds):.0f} s")
    return states, seconds


@pytest.mark.slow
def test_a_run_that_was_killed_at_any_moment_is_finished_by_the_next(pipeline, undisturbed):
    states, seconds = undisturbed
    expected = ids(states[-1])
    for table, rows in expected.items():
        assert len(rows) == len(set(rows)), table
    chance = random.Random(11)
    started = time.monotonic()
    for number in range(KILLS):
        job, after_s = moment(seconds, chance)
        # Jobs before the one that is killed have nothing to do: their homes are copied.
        home = copied(states[PIPELINE.index(job)], pipeline.folder / "killed")
        whole_tree = number % 2 == 0
        kill(pipeline, home, job, after_s=after_s, whole_tree=whole_tree)
        assert orphans(pipeline) == []
        lines = pipeline.run(home, "run").splitlines()
        assert [json.loads(line)["job"] for line in lines] == list(PIPELINE)
        assert ids(home) == expected, f"{job} killed after {after_s:.1f} s"
        assert leftovers(home) == []
        assert files_without_a_row(home) == []
        what = "tree" if whole_tree else "head alone"
        say(f"kill {number + 1:2d} ({what}) in {job} after {after_s:4.1f} s: finished, same rows")
    say(f"{KILLS} kills: {time.monotonic() - started:.0f} s, 0 rows lost, 0 doubled, 0 orphans")


def moment(seconds, chance):
    """A moment drawn evenly over the whole run: the job it falls into, and how far in."""
    at = chance.uniform(0, sum(seconds))
    ends = [sum(seconds[:n]) for n in range(len(seconds) + 1)]
    for job, (begins, end) in zip(PIPELINE, pairwise(ends), strict=True):
        if at < end:
            return job, at - begins
    raise AssertionError


def kill(pipeline, home, job, *, after_s, whole_tree):
    """Kill a run some time after it came to a job; alone, its head takes its tree with it."""
    process = pipeline.start(home, "run")
    lock = home / "locks" / f"{job}.lock"
    deadline = time.monotonic() + 120
    while not (lock.exists() and lock.read_text()) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(after_s)
    head = psutil.Process(process.pid)
    tree = [head, *head.children(recursive=True)] if process.poll() is None else []
    for each in tree if whole_tree else tree[:1]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate(timeout=60)


def orphans(pipeline):
    deadline = time.monotonic() + ORPHANS_END_S
    while (found := pipeline.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [" ".join(process.cmdline())[:80] for process in found]


def leftovers(home):
    """Scratch files and folders that the run which finished should have cleared."""
    return [path.name for path in (home / "work").iterdir() if path.name.startswith(".")]


def files_without_a_row(home):
    """Data files of the compacted tables that no row of the newest version lies in."""
    lake, found = Lake(Home(home).lake), []
    for table in lake.tables():
        lake.compact(table)
        delta = DeltaTable(str(Path(lake.root) / table))
        delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
        known = {Path(uri).name for uri in DeltaTable(str(Path(lake.root) / table)).file_uris()}
        there = {path.name for path in (Path(lake.root) / table).rglob("*.parquet")}
        there -= {path.name for path in (Path(lake.root) / table / "_delta_log").rglob("*.parquet")}
        found += sorted(there - known)
    return found
