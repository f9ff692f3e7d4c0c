"""What fails, what the user sees, what must hold: each row of the failure map, injected.

engine slow or dead
    test_a_dead_engine_is_answered_for_and_the_decision_says_so
    test_a_slow_engine_is_answered_for_inside_the_deadline
    tests/serve/test_ranking.py::test_a_dead_engine_makes_it_arm_first_and_that_is_said
policy missing or broken
    test_a_broken_policy_leaves_the_nlp_score_alone_and_exact_propensities
    test_a_release_without_a_policy_serves_and_every_decision_says_so
store down
    test_a_store_that_does_not_answer_is_503_and_nothing_is_half_done
replica or node killed
    test_what_a_killed_replica_had_begun_is_asked_of_another
    test_a_reply_that_had_begun_to_leave_is_not_begun_again
    test_a_reader_that_dies_is_asked_again_and_then_unavailable
    tests/serve/test_killed_replicas.py::test_replicas_are_killed_and_nobody_notices
bad rows in a log
    tests/unit/ingest/test_esconv.py::test_bad_lines_are_quarantined_and_good_ones_kept
    tests/unit/ingest/test_simulation.py::test_bad_rows_are_quarantined_with_their_place_and_reason
bad release
    tests/serve/test_releases_live.py::test_a_release_with_a_flipped_byte_is_refused_and_the_old_one_serves_on
    tests/serve/test_releases_live.py::test_one_command_rolls_back_and_the_refusal_is_forgotten
    tests/unit/test_release.py::test_a_damaged_release_is_named_by_its_file_and_never_promoted
crisis message
    tests/e2e/test_graph.py::test_a_crisis_meets_no_adapter_no_policy_and_no_experiment
"""

import ast
import asyncio
import itertools
import math
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorDiedError

from rapport.errors import UnavailableError
from rapport.home import Home
from rapport.language.engine import Delta, GenerationRequest
from rapport.language.prompts import Message
from rapport.policy.behaviour import draw
from rapport.release import promote
from serve.nodes import READ_S, TRIES, RemoteEncoder, RemotePersonaModel
from tests.serve.graphs import graph_over
from tests.serve.releases import another

ROOT = Path(__file__).parents[2]
ROWS = (
    "engine slow or dead", "policy missing or broken", "store down", "replica or node killed",
    "bad rows in a log", "bad release", "crisis message",
)  # fmt: skip


@pytest.fixture
def graph(promoted_home, tmp_path):
    """A graph over a copy of the promoted home, whose parts may be broken; answers within 2 s."""
    home = shutil.copytree(promoted_home, tmp_path / "home")
    made = graph_over(home, poll_s=0.001, deadline_s=2.0)
    yield made
    made.light.close()
    made.store.close()


def decided(graph, **fields):
    """One answer's decision as it was logged."""
    answer = graph.chat(**fields)
    if fields.get("stream"):
        assert answer.text.endswith("data: [DONE]\n\n")
        return graph.store.decision(answer.headers["x-rapport-decision-id"])
    assert answer["choices"][0]["message"]["content"]
    return graph.store.decision(answer["rapport"]["decision_id"])


def assert_exact(row):
    probabilities = [c["probability"] for c in row["candidates"]]
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
    assert row["propensity"] == probabilities[row["action_index"]]
    if row["rng_seed"] is not None:
        assert draw(np.array(probabilities), row["rng_seed"]) == row["action_index"]


async def dead(request, folder=None):
    raise UnavailableError("gone")
    yield


async def endless(request, folder=None):
    await asyncio.sleep(60)
    yield


@pytest.mark.parametrize("mode", ["arm_first", "rerank"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_dead_engine_is_answered_for_and_the_decision_says_so(graph, monkeypatch, mode, stream):
    monkeypatch.setattr(graph.writer, "stream", dead)
    for i in range(4):
        row = decided(graph, stream=stream, user={"id": f"u{i}"}, **{"rapport::mode": mode})
        if row["candidates"][row["action_index"]]["origin"] == "library":
            continue  # an arm that the library answers needs no engine
        assert row["delivered"] == "fallback"
        assert "engine" in row["degraded"]
        assert_exact(row)


@pytest.mark.parametrize("mode", ["arm_first", "rerank"])
def test_a_slow_engine_is_answered_for_inside_the_deadline(graph, monkeypatch, mode):
    monkeypatch.setattr(graph.writer, "stream", endless)
    began = time.monotonic()
    row = decided(graph, **{"rapport::mode": mode})
    assert time.monotonic() - began < 4
    assert row["delivered"] == "fallback" or row["candidates"][row["action_index"]]["arm"]
    assert_exact(row)


class Spoilt:
    """A policy's scorer whose weights are no numbers any more."""

    def __init__(self, scorer):
        self.layout, self.weights = scorer.layout, scorer.weights

    def rec(self, state, mask, shares=None):
        width = mask.shape[1] if shares is None else len(shares)
        return np.full((len(state), width), np.nan)


@pytest.mark.parametrize("mode", ["arm_first", "rerank", "observe"])
def test_a_broken_policy_leaves_the_nlp_score_alone_and_exact_propensities(graph, mode):
    bundles = graph.light.exchanges.bundles
    whole = bundles.now.policy
    spoilt = replace(whole, scorer=Spoilt(whole.scorer))
    bundles.now = replace(bundles.now, policy=spoilt)
    for i in range(6):
        row = decided(graph, user={"id": f"u{i}"}, **{"rapport::mode": mode})
        assert "policy:nlp_alone" in row["degraded"]
        assert row["policy_id"] == whole.nlp_alone().id
        assert {c["rec_score"] for c in row["candidates"]} <= {0.5, None}
        assert_exact(row)


def test_a_release_without_a_policy_serves_and_every_decision_says_so(graph):
    releases = Home(graph.home).releases
    bare = another(releases, temperature=1.0, policy=False)
    promote(releases, bare)
    graph.light.watch.look()
    for i in range(6):
        row = decided(
            graph, user={"id": f"u{i}"}, **{"rapport::mode": ("arm_first", "rerank")[i % 2]}
        )
        assert row["release_id"] == bare
        assert "policy:missing" in row["degraded"]
        assert_exact(row)


@pytest.mark.parametrize("stream", [False, True])
def test_a_store_that_does_not_answer_is_503_and_nothing_is_half_done(graph, stream):
    graph.chat()
    before = [graph.store.decisions("default"), graph.store.unfinished()]
    lock = sqlite3.connect(graph.home / "store.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    body = {"messages": [{"role": "user", "content": "I feel low"}], "stream": stream}
    answer = graph.post("/v1/chat/completions", body)
    lock.execute("ROLLBACK")
    lock.close()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert [graph.store.decisions("default"), graph.store.unfinished()] == before
    graph.chat()


class Handle:
    """A Ray handle to replicas that die: each call plays the next scene."""

    def __init__(self, *scenes):
        self.scenes, self.calls = list(scenes), 0

    def __getattr__(self, name):
        return self

    def options(self, **_options):
        return self

    def remote(self, *_arguments):
        self.calls += 1
        return Response(self.scenes.pop(0))


class Response:
    """What one call gives: texts and a death, in order."""

    def __init__(self, scene):
        self.scene = scene

    async def __aiter__(self):
        for n, piece in enumerate(self.scene):
            if piece is None:
                raise ActorDiedError
            last = n == len(self.scene) - 1
            yield Delta(
                request_id="r", text=piece, finish="stop" if last else None,
                tokens_in=1, tokens_out=n,
            )  # fmt: skip

    def result(self, *, timeout_s):
        assert timeout_s == READ_S
        if self.scene is None:
            raise ActorDiedError
        return self.scene

    def cancel(self):
        pass


def a_handle(*scenes) -> Any:
    return Handle(*scenes)


async def said(handle):
    request = GenerationRequest(request_id="r", messages=[Message(role="user", content="hello")])
    return [delta.text async for delta in RemotePersonaModel(handle).stream(request)]


def test_what_a_killed_replica_had_begun_is_asked_of_another():
    handle = a_handle(["", None], ["a", "b"])
    assert "".join(asyncio.run(said(handle))) == "ab"
    assert handle.calls == 2


def test_a_reply_that_had_begun_to_leave_is_not_begun_again():
    handle = a_handle(["a", None], ["b"])
    with pytest.raises(UnavailableError, match="persona model"):
        asyncio.run(said(handle))
    assert handle.calls == 1


def test_a_reader_that_dies_is_asked_again_and_then_unavailable():
    vectors = np.ones((1, 2), np.float32)
    assert RemoteEncoder(a_handle(None, vectors), "e").encode(["x"]) is vectors
    handle = a_handle(*[None] * TRIES)
    with pytest.raises(UnavailableError, match="reader"):
        RemoteEncoder(handle, "e").encode(["x"])
    assert handle.calls == TRIES


def test_each_row_of_the_map_names_tests_that_there_are():
    assert __doc__
    lines = __doc__.split("\n\n", 1)[1].splitlines()
    rows = [line for line in lines if line and not line.startswith(" ")]
    assert tuple(rows) == ROWS
    for row, following in itertools.pairwise(lines):
        assert row.startswith(" ") or following.startswith(" "), f"{row} names no test"
    for line in lines:
        if line.startswith(" "):
            file, _, name = line.strip().rpartition("::")
            path = ROOT / file if file else Path(__file__)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, line
