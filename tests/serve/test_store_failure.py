"""While the store does not answer: refused whole, or the plain reply and nothing kept of it."""

import json
import signal
import sqlite3
from contextlib import contextmanager
from typing import Any

import pytest

from serve.app import AppConfig
from tests.serve.light import SAID, body, serving
from tests.serve.writers import SlowWriter

CRISIS = "I am going to kill myself tonight"
ARM: dict[str, Any] = {"rapport::mode": "arm_first"}


@contextmanager
def locked(path):
    """Another process writes the SQLite file and does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def stopped(postgres):
    postgres.stop(signal.SIGINT)
    yield
    postgres.start()


@pytest.fixture(params=["refuse", "pass_through"])
def policy(request):
    return request.param


@pytest.fixture
def case(tmp_path, store_url, policy, request):
    """A served home, and what takes its store away for the length of a block."""
    home = tmp_path / "home"
    home.mkdir()
    rules = {"default_age_band": "adult", "explore": "adults", "on_store_failure": policy}
    rules["default_purposes"] = ["serve", "memory", "experiment"]
    (home / "tenants.yaml").write_text(json.dumps({"default": rules}))
    config = AppConfig.model_validate({"home": home, "store": store_url, "lease_s": 0.5})
    with serving(config, SlowWriter(words=3)) as graph:
        graph.chat()  # its key is known from here on
        if store_url.startswith("sqlite"):
            yield graph, lambda: locked(tmp_path / "store.db")
        else:
            yield graph, lambda: stopped(request.getfixturevalue("postgres"))


def kept(graph):
    return len(graph.store.decisions("default")), sum(graph.store.outbox.waiting().values())


def test_the_tenant_gets_what_he_chose_and_nothing_is_half_done(case, policy):
    graph, broken = case
    before = kept(graph)
    with broken():
        whole = graph.chat(**ARM)
        streamed = graph.chat(stream=True, **ARM)
        rated = {"episode_id": "any", "metric_name": "rating", "value": 5}
        others = [
            graph.client.post("/v1/feedback", json=rated),
            graph.client.post("/v1/rank", json={"context": SAID, "user": "ann"}),
        ]
    refused = [*others, *([whole, streamed] if policy == "refuse" else [])]
    for answer in refused:
        # An episode that a readable store does not know is no fault of the store.
        assert answer.status_code == 503 or (answer is others[0] and answer.status_code == 404)
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            assert answer.json()["error"]["code"] == "store_unavailable"
            assert SAID not in answer.text
    if policy == "pass_through":
        for answer in (whole, streamed):
            assert answer.status_code == 200
            assert answer.headers["x-rapport-degraded"] == "store"
            assert "x-rapport-decision-id" not in answer.headers
            assert "word2." in answer.text
        block = whole.json()["rapport"]
        assert (block["decision_id"], block["arm"], block["sentiment"]) == (None, None, None)
        assert (block["mode"], block["degraded"]) == ("observe", "store")
        counted = graph.client.get("/metrics").text
        assert 'degraded="store"' in counted
    assert kept(graph) == before
    assert graph.store.unfinished() == 0
    after = graph.chat(**ARM)
    assert after.status_code == 200
    assert "x-rapport-degraded" not in after.headers
    assert graph.decision(after.json()["rapport"]["decision_id"])["degraded"] is None


def test_a_crisis_is_answered_as_one_whatever_the_store_does(case, policy):
    graph, broken = case
    if policy == "refuse":
        pytest.skip("refused like any other message")
    with broken():
        answer = graph.client.post("/v1/chat/completions", json=body(CRISIS))
    assert answer.json()["rapport"]["guard"] == "crisis"
    assert "word0" not in answer.text
