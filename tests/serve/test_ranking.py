import numpy as np
import pytest

from rapport.errors import UnavailableError
from rapport.policy.behaviour import draw
from serve.ranking import CANDIDATES, INTENT_FLOOR
from tests.serve.graphs import graph_over

OURS = "That sounds hard. What happened next?"
THEIRS = ["Could you say a bit more about that?", "Many people feel this way after a change."]
HARM = "You should just kill yourself."


@pytest.fixture(autouse=True)
def usual(graph):
    graph.writer.reply, graph.writer.scores = OURS, (3.0, 3.0)


def row_of(graph, answer):
    return graph.store.decision(answer["rapport"]["decision_id"])


def reranked(graph, **fields):
    answer = graph.chat(**{"rapport::mode": "rerank", **fields})
    return answer, row_of(graph, answer)


def test_k_candidates_are_written_under_several_arms_and_one_is_drawn(graph):
    answer, row = reranked(graph)
    candidates = row["candidates"]
    shares = [c["probability"] for c in candidates]
    assert row["mode"] == "rerank"
    assert len({c["arm"] for c in candidates}) == len(candidates) == CANDIDATES
    assert all(c["text"] == OURS and 0 < c["nlp_score"] <= 1 for c in candidates)
    assert draw(np.array(shares), row["rng_seed"]) == row["action_index"]
    assert answer["choices"][0]["message"]["content"] == OURS
    assert row["degraded"] is None


def test_a_clients_own_replies_are_ranked_beside_ours(graph):
    answer, row = reranked(graph, **{"rapport::candidates": THEIRS})
    theirs = [c for c in row["candidates"] if c["origin"] == "client"]
    assert [c["text"] for c in theirs] == THEIRS
    assert all(c["arm"] and c["nlp_score"] is not None for c in theirs)
    assert sum(c["probability"] for c in row["candidates"]) == pytest.approx(1, abs=1e-9)
    assert answer["choices"][0]["message"]["content"] in {OURS, *THEIRS}


def test_candidates_alone_ask_for_rerank_and_no_other_mode_takes_them(graph):
    answer = graph.chat(user={"id": "somebody"}, **{"rapport::candidates": THEIRS})
    assert answer["rapport"]["mode"] in ("rerank", "control")
    graph.chat(status=400, **{"rapport::candidates": THEIRS, "rapport::mode": "arm_first"})


def test_a_candidate_that_may_not_leave_stays_out_and_its_text_is_not_kept(graph):
    _, row = reranked(graph, **{"rapport::candidates": [HARM, THEIRS[0]]})
    (vetoed,) = [c for c in row["candidates"] if c["guard"]]
    assert vetoed["guard"] == "harmful_instruction:self_harm"
    assert (vetoed["probability"], vetoed["text"], vetoed["nlp_score"]) == (0.0, None, None)


def test_where_nothing_fits_a_question_what_was_meant_joins_them(graph):
    graph.writer.scores = (-9.0, -9.0)
    _, row = reranked(graph)
    *ours, asking = row["candidates"]
    assert max(c["nlp_score"] for c in ours) < INTENT_FLOOR == asking["nlp_score"]
    assert (asking["arm"], asking["origin"]) == ("clarify", "library")


@pytest.mark.parametrize("stream", [False, True])
def test_a_dead_engine_makes_it_arm_first_and_that_is_said(graph, monkeypatch, stream):
    async def dead(request, folder=None):
        raise UnavailableError("gone")
        yield

    monkeypatch.setattr(graph.writer, "stream", dead)
    answer = graph.chat(stream=stream, **{"rapport::mode": "rerank"})
    name = answer.headers["x-rapport-decision-id"] if stream else None
    row = graph.store.decision(name) if name else row_of(graph, answer)
    assert row["mode"] == "arm_first"
    assert row["degraded"].startswith("rerank:engine")
    assert row["delivered"] in ("fallback", "full")


def test_a_clients_replies_are_ranked_though_the_engine_is_dead(graph, monkeypatch):
    async def dead(request, folder=None):
        raise UnavailableError("gone")
        yield

    async def mute(pairs, folder=None):
        raise UnavailableError("gone")

    monkeypatch.setattr(graph.writer, "stream", dead)
    monkeypatch.setattr(graph.writer, "score", mute)
    answer, row = reranked(graph, **{"rapport::candidates": THEIRS})
    assert row["mode"] == "rerank"
    assert row["degraded"] == "rerank:engine, rerank:unscored"
    assert answer["choices"][0]["message"]["content"] in THEIRS


def test_without_a_release_it_is_arm_first_and_that_is_said(tmp_path, promoted_home):
    plain = graph_over(tmp_path, encoder=f"file:{promoted_home}/encoder")
    answer, row = reranked(plain)
    assert (row["mode"], row["degraded"]) == ("arm_first", "rerank:no_release")
    assert answer["rapport"]["degraded"] == "rerank:no_release"
