"""Steps of a demo: announced with the time left, timed, kept, and not done twice."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rapport.cli.demo_journal import Journal, when
from rapport.cli.pace import Pace, spoken
from rapport.cli.stage_lines import Row, say, stage_done, stage_row
from rapport.cli.stages import run_stage
from rapport.errors import DataError
from rapport.home import Home
from rapport.pipeline.ports import digest_tree
from rapport.simulation import SimulationConfig

_SAID_S = 5.0
"""Stages that should take less are not announced."""


@dataclass
class Demo:
    """One run: its settings, and what each stage returned."""

    home: Home
    data: Path | None
    users: int
    seed: int
    scale: float
    """Factor on every stage's budget."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: list[Row] = field(default_factory=list)
    doing: str = "its first steps"
    """What it is at, for who stops it."""

    def __post_init__(self) -> None:
        about = {"users": self.users, "data": digest_tree(self.data) if self.data else None}
        self.journal = Journal(self.home, sets=self._sets({}), about=about)
        self.pace = Pace(self.users, self.scale)
        if self.data:
            self.pace.skip("simulate")

    @property
    def world(self) -> SimulationConfig:
        """The simulated world that the log and the talking users come from."""
        return SimulationConfig(users=self.users, turns=20, seed=self.seed)

    def stage(self, job: str, *, label: str | None = None, **settings: object) -> dict[str, Any]:
        """Run a job with its budget scaled, and keep its result under its label."""

        def work() -> dict[str, Any]:
            result = run_stage(job, home=self.home.root, sets=self._sets(settings))
            if "skipped" in result:
                raise DataError(
                    f"{job} cannot be done: {result['skipped']}", "give the demo a larger log"
                )
            return result

        return self.step(label or job, work)

    def step(self, label: str, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Do a step, or take what an earlier demo left of it; print which."""
        earlier = self.journal.take(label)
        if earlier is not None:
            self.reuse(label, earlier)
            return self.results[label]
        self.begin(label)
        started = time.monotonic()
        result = work()
        seconds = time.monotonic() - started
        self.note(label, seconds, result)
        self.journal.note(label, self.results[label])
        return self.results[label]

    def begin(self, label: str) -> None:
        """Say what comes now, how long it should take, and how long all that is left."""
        self.doing = label
        expected = self.pace.expected_s(label)
        if expected >= _SAID_S:
            say(f"> {label}: about {spoken(expected)}; all that is left: "
                f"about {spoken(self.pace.left_s())}")  # fmt: skip

    def note(self, label: str, seconds: float, result: Mapping[str, Any]) -> None:
        """Print and keep one stage's time, runner and sizes."""
        self.pace.took(label, seconds)
        self.results[label] = {**result, "seconds": round(seconds, 1)}
        self.stages.append(stage_row(label, seconds, result))
        stage_done(self.stages[-1])

    def reuse(self, label: str, earlier: Mapping[str, Any]) -> None:
        """Take a step's result over; print when it was done and how long it took then."""
        self.pace.skip(label)
        self.results[label] = dict(earlier)
        row = stage_row(label, 0.0, earlier)
        took = f"reused: {when(earlier['at'])}, {earlier['seconds']} s"
        self.stages.append({**row, "runner": took, "reused": True})
        stage_done(self.stages[-1])

    def _sets(self, settings: Mapping[str, object]) -> list[str]:
        pairs = {"seed": self.seed, **settings, "budget_scale": self.scale}
        return [f"{key}={value}" for key, value in pairs.items()]
