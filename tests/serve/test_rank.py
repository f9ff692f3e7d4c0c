from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rapport.policy.behaviour import draw
from tests.serve.graphs import CALM, control_user, graph_over

ASK = {"id": "ask", "text": "What has been the hardest part of it?"}
TIP = {"id": "tip", "text": "You could write down one thing to finish today."}
HARM = {"id": "harm", "text": "You should just kill yourself."}
CRISIS = "I am going to kill myself tonight"


def row_of(graph, answer):
    return graph.store.decision(answer["decision_id"])


def test_actions_are_ranked_drawn_and_logged_exactly(graph):
    answer = graph.rank(actions=[ASK, TIP])
    row = row_of(graph, answer)
    shares = [c["probability"] for c in row["candidates"]]
    assert (row["mode"], row["delivered"]) == ("rank", "full")
    assert row["propensity"] == shares[row["action_index"]]
    assert draw(np.array(shares), row["rng_seed"]) == row["action_index"]
    assert [c["candidate_id"] for c in row["candidates"]] == ["ask", "tip"]
    assert answer["action_id"] == row["candidates"][row["action_index"]]["candidate_id"]
    assert {r["id"]: r["probability"] for r in answer["ranking"]} == dict(
        zip(("ask", "tip"), shares, strict=True)
    )
    assert all(0 < r["score"] <= 1 for r in answer["ranking"])
    assert {c["origin"] for c in row["candidates"]} == {"client"}


def test_without_actions_the_arm_alone_is_decided(graph):
    answer = graph.rank()
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-9)
    assert answer["probabilities"][answer["arm"]] == row_of(graph, answer)["propensity"]
    assert answer["instructions"].endswith(".")
    turns = graph.store.turns_of(answer["rapport"]["episode_id"])
    assert [(t["role"], t["text"]) for t in turns] == [("user", CALM), ("assistant", None)]


def test_a_clients_own_score_counts_and_is_asked_for_all_or_none(graph):
    scored = [{**ASK, "nlp_score": 1.0}, {**TIP, "nlp_score": 0.0001}]
    first = {r["id"]: r["score"] for r in graph.rank(actions=scored)["ranking"]}
    assert first["tip"] < 0.01 * first["ask"]
    graph.rank(actions=[scored[0], TIP], status=400)


def test_what_is_excluded_or_may_not_leave_is_never_taken(graph):
    answer = graph.rank(actions=[HARM, ASK, TIP], excluded=["tip"])
    row = row_of(graph, answer)
    assert answer["action_id"] == "ask"
    assert [c["probability"] for c in row["candidates"]] == [0.0, 1.0, 0.0]
    assert [c["guard"] for c in row["candidates"]] == [
        "harmful_instruction:self_harm", None, "excluded",
    ]  # fmt: skip
    assert row["candidates"][0]["text"] is None
    graph.rank(actions=[HARM], status=400)


def test_features_named_after_arms_say_what_an_action_is_and_others_are_only_logged(graph):
    bare = [{"id": "a"}, {"id": "b"}]
    even = graph.rank(actions=bare)["ranking"]
    assert even[0]["score"] == even[1]["score"]
    logged = graph.rank(actions=[{"id": "a", "features": {"price": 3.5}}, {"id": "b"}])
    assert logged["ranking"][0]["score"] == logged["ranking"][1]["score"]
    assert dict(row_of(graph, logged)["candidates"][0]["features"]) == {"price": 3.5}
    told = graph.rank(actions=[{"id": "a", "features": {"question": 1}}, {"id": "b"}])
    assert told["ranking"][0]["score"] != told["ranking"][1]["score"]
    assert [c["arm"] for c in row_of(graph, told)["candidates"]] == ["question", None]


def test_the_control_group_gets_the_first_action(graph):
    answer = graph.rank(user=control_user(graph.home), actions=[ASK, TIP], excluded=["ask"])
    row = row_of(graph, answer)
    assert (row["mode"], row["delivered"], len(row["candidates"])) == ("control", "control", 1)
    assert answer["action_id"] == "tip"
    assert row["candidates"][0]["arm"] is None


def test_without_a_release_the_first_action_passes_and_the_draw_is_logged(tmp_path, promoted_home):
    plain = graph_over(tmp_path, encoder=f"file:{promoted_home}/encoder")
    answer = plain.rank(actions=[ASK, TIP])
    row = row_of(plain, answer)
    assert answer["action_id"] == "ask"
    assert (row["mode"], row["delivered"], row["explored"]) == ("observe", "observed", False)
    assert [c["probability"] for c in row["candidates"]] == [0.5, 0.5]
    assert plain.rank()["arm"] is None


@pytest.mark.parametrize("actions", [[], [ASK, TIP]])
@pytest.mark.parametrize("defer", [False, True])
def test_a_crisis_is_answered_before_anything_is_ranked(graph, actions, defer):
    answer = graph.rank(CRISIS, actions=actions, defer=defer)
    row = row_of(graph, answer)
    assert answer.get("action_id") is answer.get("arm") is None
    assert "person" in answer["reply"]
    assert (row["mode"], row["delivered"]) == ("control", "guard_replaced")
    assert row["candidates"][0]["guard"] == "crisis"


def test_a_deferred_decision_counts_once_activated(graph):
    answer = graph.rank(actions=[ASK, TIP], defer=True)
    assert graph.store.unfinished() == 1
    done = graph.post(f"/v1/rank/{answer['decision_id']}/activate", {})
    again = graph.post(f"/v1/rank/{answer['decision_id']}/activate", {})
    assert done.json() == again.json() == {"decision_id": answer["decision_id"], "activated": True}
    assert graph.store.unfinished() == 0
    assert graph.post("/v1/rank/unknown/activate", {}).status_code == 404


def test_what_was_given_up_is_not_activated_any_more(graph):
    answer = graph.rank(defer=True)
    graph.store.close_abandoned(datetime.now(UTC) + timedelta(hours=1))
    late = graph.post(f"/v1/rank/{answer['decision_id']}/activate", {})
    error = late.json()["error"]
    assert (late.status_code, error["code"], error["param"]) == (409, "conflict", "decision_id")
    assert "rank anew" in error["message"]
    row = row_of(graph, answer)
    assert (row["delivered"], row["degraded"]) == ("fallback", "abandoned")


def test_feedback_activates_a_deferred_decision(graph):
    answer = graph.rank(defer=True)
    given = {"decision_id": answer["decision_id"], "metric_name": "thumbs", "value": True}
    assert graph.post("/v1/feedback", given).status_code == 200
    assert graph.store.unfinished() == 0
    assert dict(row_of(graph, answer)["features"])["deferred"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": [ASK, ASK]},
        {"actions": [ASK], "excluded": ["other"]},
        {"actions": [{"id": "a", "features": {"x": "y"}}]},
        {"actions": [{**ASK, "nlp_score": 0}]},
        {"context": ""},
        {"context": []},
        {"agent_id": "nobody"},
        {"mood": 1},
    ],
)
def test_what_cannot_be_ranked_is_refused(graph, fields):
    body = {"user": "ann", "context": "hello there", **fields}
    answer = graph.post("/v1/rank", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]
