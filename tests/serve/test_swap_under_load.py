"""Releases are swapped, broken and rolled back while people talk: nobody is refused."""

import itertools
import shutil
import threading
import time
from dataclasses import dataclass, field

import pytest
from typer.testing import CliRunner

from rapport.cli.app import app
from rapport.home import Home
from rapport.policy.policy import Policy
from rapport.release import current, promote
from rapport.store import open_store
from tests.serve.processes import eventually, running
from tests.serve.releases import another, flip_a_byte
from tests.serve.test_topologies import CHAT, SMALL, TALK
from tests.statistics.report import say

pytestmark = pytest.mark.slow
PICKED_UP_S = 10.0
TALKERS = 4


@dataclass
class Talk:
    """What people saw: of each answer when it was asked for, and its decision; and failures."""

    answers: list[tuple[float, str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def talk(self, served, who):
        """Ask one thing after another, streamed and not, in three modes."""
        modes = itertools.cycle(("arm_first", "rerank", "observe"))
        with served.client() as client:
            for number in itertools.count():
                if self.done.is_set():
                    return
                began, stream = time.monotonic(), number % 2 == 1
                body = {
                    "messages": TALK, "max_tokens": 4, "stream": stream,
                    "rapport::mode": next(modes), "rapport::user": {"id": f"{who}-{number}"},
                }  # fmt: skip
                answer = client.post(CHAT, json=body)
                whole = answer.status_code == 200 and (not stream or "[DONE]" in answer.text)
                if not whole:
                    self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                    continue
                self.answers.append((began, answer.headers["x-rapport-decision-id"], who))


def test_every_decision_names_the_release_that_served_it(promoted_home, tmp_path):
    home = shutil.copytree(promoted_home, tmp_path / "home")
    releases = Home(home).releases
    serving = current(releases)
    assert serving is not None
    fresh = [another(releases, temperature=t) for t in (0.6, 0.7, 0.8)]
    broken = another(releases, temperature=0.9)
    policies = {name: Policy.load(releases / name / "policy").id for name in (serving.name, *fresh)}
    assert len(set(policies.values())) == 4
    args = {
        "threads": 1, "language_model": f"file:{home}/language", "encoder": f"file:{home}/encoder",
        "gateway": SMALL, "persona_model": SMALL,
    }  # fmt: skip
    with running(home, {"args": args}, tmp_path) as served:
        talk = Talk()
        threads = [
            threading.Thread(target=talk.talk, args=(served, f"t{i}")) for i in range(TALKERS)
        ]
        for thread in threads:
            thread.start()
        moments = _swaps(served, home, fresh, broken)
        talk.done.set()
        for thread in threads:
            thread.join(60)
    assert talk.failures == []
    _each_names_its_own(home, talk, policies, moments)


def _swaps(served, home, fresh, broken):
    """Promote, break and roll back; when which release was first seen to serve."""
    releases, moments = Home(home).releases, []
    with served.client() as client:

        def ready():
            return client.get("/readyz").json()

        def takes(name):
            asked = time.monotonic()
            eventually(lambda: ready()["release_id"] == name, within_s=60)
            moments.append((time.monotonic(), name))
            return time.monotonic() - asked

        for name in fresh:
            time.sleep(6)
            promote(releases, name)
            taken = takes(name)
            say(f"release {name[:8]} served {taken:.1f} s after its promotion")
            assert taken <= PICKED_UP_S
        promote(releases, broken)
        flip_a_byte(releases / broken)
        refusal = eventually(lambda: ready()["refused"], within_s=PICKED_UP_S)
        say(f"refused: {refusal}")
        assert refusal["release_id"] == broken
        assert ready()["release_id"] == fresh[-1]
        time.sleep(5)
        rolled = CliRunner().invoke(app, ["release", "rollback", "--home", str(home)])
        assert rolled.exit_code == 0, rolled.output
        eventually(lambda: not ready()["refused"], within_s=PICKED_UP_S)
        assert ready()["release_id"] == fresh[-1]
        off = CliRunner().invoke(
            app, ["release", "disable", "arm", "suggestion", "--home", str(home)]
        )
        assert off.exit_code == 0, off.output
        time.sleep(5)
        moments.append((time.monotonic(), "suggestion off"))
        time.sleep(5)
    return moments


def _each_names_its_own(home, talk, policies, moments):
    store, seen = open_store(Home(home).store_url), set()
    for began, name, _ in talk.answers:
        row = store.decision(name)
        assert row is not None
        assert row["policy_id"] == policies[row["release_id"]], "it was served by another"
        seen.add(row["release_id"])
        taken = [release for at, release in moments if at <= began and release in policies]
        if taken:
            order = list(policies)
            assert order.index(row["release_id"]) >= order.index(taken[-1])
        if began > moments[-1][0]:
            assert "suggestion" not in {c["arm"] for c in row["candidates"]}
    store.close()
    assert seen == set(policies)
    say(f"{len(talk.answers)} answers over {len(seen)} releases, {len(talk.failures)} failures")
