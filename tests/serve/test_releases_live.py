"""Releases and switches while requests go on: swapped, refused, rolled back, switched off."""

import asyncio
import math
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from rapport.arms import load_menu
from rapport.cli.app import app
from rapport.home import Home
from rapport.policy.behaviour import draw
from rapport.release import current, promote
from serve import watch
from tests.serve.graphs import graph_over
from tests.serve.releases import another, flip_a_byte

MODES = ("arm_first", "rerank", "observe")


@pytest.fixture
def graph(promoted_home, tmp_path):
    """A graph over a copy of the promoted home, so that its releases may be harmed."""
    made = graph_over(shutil.copytree(promoted_home, tmp_path / "home"), poll_s=0.001)
    yield made
    made.light.close()
    made.store.close()


def serving(graph):
    return graph.api.get("/readyz").json()


def releases(graph):
    return Home(graph.home).releases


def rows(graph, *, count=6, **fields):
    """Decisions of some users, as they were logged."""
    blocks = [
        graph.chat(user={"id": f"u{i}"}, **{"rapport::mode": MODES[i % 3], **fields})["rapport"]
        for i in range(count)
    ]
    return [graph.store.decision(block["decision_id"]) for block in blocks]


def switch(graph, *what, off=True):
    graph.store.switches.turn(*what, off=off, by="test")
    graph.light.watch.look()


def assert_exact(row):
    probabilities = [c["probability"] for c in row["candidates"]]
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
    assert row["propensity"] == probabilities[row["action_index"]]
    if row["rng_seed"] is not None:
        assert draw(np.array(probabilities), row["rng_seed"]) == row["action_index"]


def test_a_promoted_release_serves_the_next_request_and_is_named_by_its_decision(graph):
    before = serving(graph)["release_id"]
    fresh = another(releases(graph), temperature=0.7)
    (old,) = rows(graph, count=1)
    promote(releases(graph), fresh)
    graph.light.watch.look()
    (new,) = rows(graph, count=1)
    assert (old["release_id"], new["release_id"]) == (before, fresh)
    assert old["policy_id"] != new["policy_id"]


def test_a_release_with_a_flipped_byte_is_refused_and_the_old_one_serves_on(graph):
    before = serving(graph)["release_id"]
    fresh = another(releases(graph), temperature=0.7)
    promote(releases(graph), fresh)
    flip_a_byte(releases(graph) / fresh)
    graph.light.watch.look()
    told = serving(graph)
    assert told["release_id"] == before
    assert told["refused"]["release_id"] == fresh
    assert "policy.safetensors" in told["refused"]["reason"]
    assert {row["release_id"] for row in rows(graph)} == {before}


def test_one_command_rolls_back_and_the_refusal_is_forgotten(graph):
    before = serving(graph)["release_id"]
    fresh = another(releases(graph), temperature=0.7)
    promote(releases(graph), fresh)
    flip_a_byte(releases(graph) / fresh)
    graph.light.watch.look()
    rolled = CliRunner().invoke(app, ["release", "rollback", "--home", str(graph.home)])
    assert rolled.exit_code == 0
    graph.light.watch.look()
    folder = current(releases(graph))
    assert folder is not None
    assert folder.name == before
    assert serving(graph) | {"refused": None} == serving(graph)


@pytest.mark.parametrize("mode", MODES)
def test_an_arm_that_is_off_is_no_candidate_and_the_rest_is_exact(graph, mode):
    switch(graph, "arm", "suggestion")
    for row in rows(graph, **{"rapport::mode": mode}):
        assert "suggestion" not in {c["arm"] for c in row["candidates"]}
        assert min(c["probability"] for c in row["candidates"]) >= 0
        assert_exact(row)
    switch(graph, "arm", "suggestion", off=False)
    (row,) = rows(graph, count=1, **{"rapport::mode": "arm_first"})
    assert "suggestion" in {c["arm"] for c in row["candidates"]}


def test_an_arm_that_is_off_is_not_told_to_a_client_who_writes_himself(graph):
    switch(graph, "arm", "suggestion")
    told = [graph.rank(user=f"u{i}") for i in range(8)]
    chosen = [one["probabilities"] for one in told if one["probabilities"]]
    assert chosen
    assert not any("suggestion" in shares for shares in chosen)


def test_with_every_arm_off_the_reply_is_the_unpersonalised_one_and_says_so(graph):
    for arm in load_menu().served:
        graph.store.switches.turn("arm", arm.name, off=True, by="test")
    graph.light.watch.look()
    for row in rows(graph):
        assert (row["mode"], row["propensity"]) == ("control", 1.0)
        assert "arms:off" in row["degraded"]


def test_nobody_is_routed_to_a_persona_that_is_off_nor_can_it_be_pinned(graph):
    gone, *left = graph.light.exchanges.bundles.now.layout.personas
    assert {row["persona_id"] for row in rows(graph, model=f"rapport:{gone}")} == {gone}
    switch(graph, "persona", gone)
    found = rows(graph, count=9)
    assert {row["persona_id"] for row in found} <= {*left, None}
    for row in found:
        assert_exact(row)
    graph.chat(status=400, model=f"rapport:{gone}")


def test_an_adapter_that_is_off_writes_nothing(graph):
    adapters = graph.light.exchanges.bundles.now.adapters
    for name in adapters:
        graph.store.switches.turn("adapter", name, off=True, by="test")
    graph.light.watch.look()
    graph.writer.asked.clear()
    rows(graph)
    assert graph.writer.asked
    assert {request.adapter for request in graph.writer.asked} == {None}


def test_what_is_off_stays_off_in_the_next_release_and_after_a_restart(graph):
    switch(graph, "arm", "suggestion")
    promote(releases(graph), another(releases(graph), temperature=0.7))
    graph.light.watch.look()
    again = graph_over(graph.home)
    for one in (graph, again):
        (row,) = rows(one, count=1, **{"rapport::mode": "arm_first"})
        assert "suggestion" not in {c["arm"] for c in row["candidates"]}
    again.light.close()
    again.store.close()


def test_the_watch_looks_often_enough_for_both_promises(graph, monkeypatch):
    assert watch.SWITCH_S <= 5
    monkeypatch.setattr(watch, "SWITCH_S", 0.01)

    async def for_a_while():
        task = asyncio.create_task(graph.light.watch.run())
        graph.store.switches.turn("arm", "suggestion", off=True, by="test")
        deadline = asyncio.get_running_loop().time() + 5
        while ("arm", "suggestion") not in graph.light.exchanges.bundles.now.off:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(for_a_while())
