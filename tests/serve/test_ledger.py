"""What is on disk when: a decision before its answer, its end when the stream ends."""

import asyncio
import time

import pytest

from rapport.language.engine import Delta, Finish
from serve.app import AppConfig
from tests.serve.light import body, serving


class SlowWriter:
    """A persona model that says one short sentence a while, and tells when it was left."""

    pause_s = 0.02
    words = 60

    async def stream(self, request, adapter_folder=None):
        for n in range(self.words):
            await asyncio.sleep(self.pause_s)
            finish: Finish | None = "stop" if n == self.words - 1 else None
            yield Delta(
                request_id=request.request_id,
                text=f"word{n}. ",
                tokens_in=7,
                tokens_out=n + 1,
                finish=finish,
            )

    async def score(self, pairs, adapter_folder=None):
        raise NotImplementedError


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
    row = graph.store.decision(answer["rapport"]["decision_id"])
    assert (row["delivered"], row["tokens_out"], row["degraded"]) == ("observed", 60, None)
    said = [turn["text"] for turn in graph.store.turns_of(row["episode_id"])]
    assert said[1] == answer["choices"][0]["message"]["content"]
    assert graph.store.unfinished() == 0


def test_a_streamed_decision_is_on_disk_with_the_users_turn_before_the_first_token(graph):
    before = waiting(graph)
    with graph.client.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
        row = graph.store.decision(answer.headers["x-rapport-decision-id"])
        assert (row["tokens_out"], graph.store.unfinished()) == (0, 1)
        assert len(graph.store.turns_of(row["episode_id"])) == 1
        assert waiting(graph) == before + 1  # the user's turn; the decision waits for its end
        text = answer.read().decode()
    assert text.endswith("data: [DONE]\n\n")
    row = graph.store.decision(row["decision_id"])
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
    row = graph.store.decision(name)
    assert (row["delivered"], row["degraded"]) == ("fallback", "client_gone")
    assert 0 < row["tokens_out"] < 60
    reply = graph.store.turns_of(row["episode_id"])[1]["text"]
    assert "word3" in reply
    assert "word59" not in reply


def test_feedback_is_on_disk_once_before_it_is_answered(graph):
    decision_id = graph.chat().json()["rapport"]["decision_id"]
    given = {"decision_id": decision_id, "metric_name": "rating", "feedback_id": "once"}
    first = graph.client.post("/v1/feedback", json={**given, "value": 5}).json()
    again = graph.client.post("/v1/feedback", json={**given, "value": 1}).json()
    assert first == again
    assert graph.store.feedback("once", tenant="default")["value"] == 5.0


def test_a_dry_stream_leaves_nothing(graph):
    before = waiting(graph)
    answer = graph.chat(stream=True, **{"rapport::dryrun": True})
    assert answer.status_code == 200
    assert waiting(graph) == before
