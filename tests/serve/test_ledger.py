"""What is on disk when: a decision before its answer, its end when the stream ends."""

import datetime as dt
import sqlite3
import time

import pytest

from rapport.schema import new_id
from rapport.store import Change
from rapport.testing import a_decision
from serve.app import AppConfig
from serve.records import now
from tests.serve.light import body, serving
from tests.serve.writers import SlowWriter


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    config = AppConfig(home=tmp_path_factory.mktemp("home"), explore=0.0)
    with serving(config, SlowWriter()) as served:
        yield served


def eventually(find):
    """What `find` gives once it gives something."""
    deadline = time.monotonic() + 20
    while not (found := find()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def waiting(graph):
    return sum(graph.store.outbox.waiting().values())


def test_a_whole_answer_is_on_disk_with_both_turns_before_it_arrives(graph):
    answer = graph.chat().json()
    row = graph.decision(answer["rapport"]["decision_id"])
    assert (row["delivered"], row["tokens_out"], row["degraded"]) == ("observed", 60, None)
    said = [turn["text"] for turn in graph.store.turns_of(row["episode_id"])]
    assert said[1] == answer["choices"][0]["message"]["content"]
    assert graph.store.unfinished() == 0


def test_a_streamed_decision_is_on_disk_with_the_users_turn_before_the_first_token(graph):
    before = waiting(graph)
    with graph.client.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
        row = graph.decision(answer.headers["x-rapport-decision-id"])
        assert (row["tokens_out"], graph.store.unfinished()) == (0, 1)
        assert len(graph.store.turns_of(row["episode_id"])) == 1
        assert waiting(graph) == before + 1  # the user's turn; the decision waits for its end
        text = answer.read().decode()
    assert text.endswith("data: [DONE]\n\n")
    row = graph.decision(row["decision_id"])
    assert (row["delivered"], row["tokens_out"]) == ("observed", 60)
    reply = graph.store.turns_of(row["episode_id"])[1]["text"]
    assert reply.startswith("word0. word1.")
    assert reply.endswith("word59. ")
    assert graph.store.unfinished() == 0
    assert waiting(graph) == before + 3


def test_a_client_that_goes_away_is_recorded_with_what_was_sent(graph):
    with graph.client.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
        name = answer.headers["x-rapport-decision-id"]
        for line in answer.iter_lines():
            if "word3" in line:
                break
    eventually(lambda: graph.store.unfinished() == 0)
    row = graph.decision(name)
    assert (row["delivered"], row["degraded"]) == ("fallback", "client_gone")
    assert 0 < row["tokens_out"] < 60
    reply = graph.store.turns_of(row["episode_id"])[1]["text"]
    assert "word3" in reply
    assert "word59" not in reply


def test_feedback_is_on_disk_once_before_it_is_answered(graph):
    decision_id = graph.chat().json()["rapport"]["decision_id"]
    given = {"decision_id": decision_id, "metric_name": "rating", "feedback_id": "once"}
    first = graph.client.post("/v1/feedback", json={**given, "value": 5}).json()
    again = graph.client.post("/v1/feedback", json={**given, "value": 5}).json()
    assert first == again
    assert graph.store.feedback("once", tenant="default")["value"] == 5.0


def test_a_dry_stream_leaves_nothing(graph):
    before = waiting(graph)
    answer = graph.chat(stream=True, **{"rapport::dryrun": True})
    assert answer.status_code == 200
    assert waiting(graph) == before


def an_open_decision(graph, *, seconds):
    """A reply that a process which died had begun to say, to be kept open for so long."""
    row = a_decision(decision_id=new_id(), ts=now())
    until = now() + dt.timedelta(seconds=seconds)
    graph.store.write([Change.of(opens=row, until=until)])
    return row["decision_id"]


def test_what_a_dead_process_had_begun_is_closed_when_its_lease_is_over(tmp_path):
    config = AppConfig(home=tmp_path / "home", lease_s=0.4)
    with serving(config, SlowWriter()) as graph:
        dead, other = an_open_decision(graph, seconds=-1), an_open_decision(graph, seconds=60)
        eventually(lambda: graph.store.unfinished() == 1)
        row = graph.decision(dead)
        assert (row["delivered"], row["degraded"]) == ("fallback", "abandoned")
        assert graph.decision(other)["degraded"] is None


def test_a_reply_that_takes_longer_than_its_lease_is_not_abandoned(tmp_path):
    config = AppConfig(home=tmp_path / "home", lease_s=0.4)
    with serving(config, SlowWriter(words=40, pause_s=0.05)) as graph:
        answer = graph.chat(stream=True)
        row = graph.decision(answer.headers["x-rapport-decision-id"])
    assert (row["delivered"], row["degraded"]) == ("observed", None)


def test_the_end_of_a_reply_is_written_once_the_store_is_there_again(tmp_path):
    config = AppConfig(home=tmp_path / "home", lease_s=8.0)
    with serving(config, SlowWriter(words=30, pause_s=0.02)) as graph:
        with graph.client.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
            name = answer.headers["x-rapport-decision-id"]
            other = sqlite3.connect(config.home / "store.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            text = answer.read().decode()
        assert text.endswith("data: [DONE]\n\n")
        assert graph.decision(name)["tokens_out"] < 30
        other.execute("ROLLBACK")
        other.close()
        eventually(lambda: graph.store.unfinished() == 0)
        row = graph.decision(name)
        assert (row["delivered"], row["tokens_out"]) == ("observed", 30)
        assert len(graph.store.turns_of(row["episode_id"])) == 2
