"""The Personalizer's wire format: an unchanged client, and the promises of `serve.personalizer`."""

import pytest

from rapport.affect.waiting import DEFAULT_REWARD, REWARD_WAIT_S
from rapport.schema import new_id
from tests.serve.graphs import graph_over
from tests.serve.personalizer_client import PersonalizerClient, RefusedError

CONTEXT = [{"timeOfDay": "Morning"}, {"weather": {"degrees": 7.5, "sky": "grey"}, "new": True}]
ACTIONS = [
    {"id": "news", "features": [{"type": "News"}]},
    {"id": "sports", "features": [{"type": "Sports"}, {"length": 3}]},
    {"id": "music", "features": [{"type": "Music"}]},
]
CRISIS = "I am going to kill myself tonight"
RANK = "/personalizer/v1.0/rank"


@pytest.fixture(scope="module")
def client(local):
    return PersonalizerClient(str(local.client.base_url), local.key)


def of(graph, path, body, *, status, key=None, headers=None):
    headers = {"Ocp-Apim-Subscription-Key": graph.key if key is None else key, **(headers or {})}
    answer = graph.api.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


def rank(graph, actions=ACTIONS, *, status=201, headers=None, **fields):
    body = {"contextFeatures": CONTEXT, "actions": actions, **fields}
    return of(graph, RANK, body, status=status, headers=headers)


def row_of(graph, answer):
    return graph.store.decision(answer.headers["x-rapport-decision-id"])


def test_an_unchanged_client_ranks_rewards_and_activates(local, client):
    name = f"event {new_id()}"
    answer = client.rank(
        ACTIONS, contextFeatures=CONTEXT, eventId=name, excludedActions=["sports"],
        deferActivation=True,
    )  # fmt: skip
    assert set(answer) == {"ranking", "eventId", "rewardActionId"}
    assert answer["eventId"] == name
    assert answer["rewardActionId"] in ("news", "music")
    assert [one["id"] for one in answer["ranking"]][1] == "sports"
    client.activate(name)
    client.reward(name, 0.75)
    unnamed = client.rank(ACTIONS)
    client.reward(unnamed["eventId"], -1)
    with pytest.raises(RefusedError) as refused:
        client.reward("never issued", 1.0)
    assert (refused.value.status, refused.value.error["code"]) == (404, "ResourceNotFound")
    assert len(local.store.feedback_of(decision_id=unnamed["eventId"])) == 1


def test_an_event_is_a_decision_with_exact_propensities_and_all_its_features(graph):
    answer = rank(graph, headers={"x-user-id": graph.user})
    row, body = row_of(graph, answer), answer.json()
    assert (row["mode"], row["delivered"]) == ("rank", "full")
    shares = {one["candidate_id"]: one["probability"] for one in row["candidates"]}
    assert {one["id"]: one["probability"] for one in body["ranking"]} == shares
    assert body["ranking"][0]["id"] == body["rewardActionId"]
    assert row["propensity"] == shares[body["rewardActionId"]]
    told = {name: value for name, value in row["features"].items() if name.startswith("context:")}
    assert told == {
        "context:timeOfDay=Morning": 1.0,
        "context:weather.degrees": 7.5,
        "context:weather.sky=grey": 1.0,
        "context:new": 1.0,
    }
    assert dict(row["candidates"][1]["features"]) == {"type=Sports": 1.0, "length": 3.0}
    assert [t["role"] for t in graph.store.turns_of(row["episode_id"])] == ["assistant"]


def test_the_words_of_an_action_are_weighed_and_guarded_and_a_message_is_heard(graph):
    actions = [
        {"id": "harm", "features": [{"text": "You should just kill yourself."}]},
        {"id": "ask", "features": [{"text": "What has been the hardest part of it?"}]},
    ]
    answer = rank(graph, actions, contextFeatures=[{"message": "I feel low about work."}])
    row = row_of(graph, answer)
    assert answer.json()["rewardActionId"] == "ask"
    assert [one["guard"] for one in row["candidates"]] == ["harmful_instruction:self_harm", None]
    assert row["candidates"][1]["arm"]
    heard = graph.store.turns_of(row["episode_id"])[0]
    assert (heard["role"], heard["text"]) == ("user", "I feel low about work.")


def test_in_a_crisis_no_action_is_taken_and_the_reply_is_told(graph):
    answer = rank(graph, contextFeatures=[{"message": CRISIS}])
    body = answer.json()
    assert (body["rewardActionId"], "person" in body["reply"]) == (None, True)
    assert {one["probability"] for one in body["ranking"]} == {0.0}
    assert DEFAULT_REWARD not in (row_of(graph, answer)["features"] or {})


def test_without_a_release_the_first_action_that_may_be_passes(tmp_path, promoted_home):
    plain = graph_over(tmp_path, encoder=f"file:{promoted_home}/encoder")
    answer = rank(plain, excludedActions=["news", "unknown"]).json()
    assert answer["rewardActionId"] == "sports"
    assert [one["id"] for one in answer["ranking"]] == ["news", "sports", "music"]
    plain.store.close()


@pytest.mark.parametrize("defer", [False, True])
def test_the_same_event_again_is_the_same_decision(graph, defer):
    name = f"again-{new_id()}"
    first = rank(graph, eventId=name, deferActivation=defer)
    again = rank(graph, eventId=name, deferActivation=defer)
    assert first.json() == again.json()
    assert len(graph.store.turns_of(row_of(graph, first)["episode_id"])) == (0 if defer else 1)
    error = rank(graph, ACTIONS[:2], eventId=name, status=409).json()["error"]
    assert (error["code"], error["target"]) == ("409", "eventId")
    of(graph, f"/personalizer/v1.0/events/{name}/activate", None, status=204)
    assert graph.store.unfinished() == 0


def test_of_several_rewards_the_first_counts_and_a_deferred_event_is_activated_by_one(graph):
    answer = rank(graph, deferActivation=True)
    event = answer.json()["eventId"]
    for value in (1, 0.25, 1):
        of(graph, f"/personalizer/v1.0/events/{event}/reward", {"value": value}, status=204)
    (only,) = graph.store.feedback_of(decision_id=event)
    assert (only["metric_name"], only["value"]) == ("reward", 1.0)
    assert row_of(graph, answer)["features"]["deferred"] == 0


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"actions": []}, "actions"),
        ({"actions": [ACTIONS[0], ACTIONS[0]]}, "body"),
        ({"actions": [{"id": "", "features": []}]}, "actions.0.id"),
        ({"actions": [{"id": "a", "features": [3]}]}, "actions.0.features.*"),
        ({"actions": [{"id": "a", "features": [{"x": 10**400}]}]}, "actions.0.features"),
        ({"actions": [{"id": "a", "features": [{"x": list(range(300))}]}]}, "actions.0.features"),
        ({"eventId": "e" * 257}, "eventId"),
        ({"excludedActions": ["news", "sports", "music"]}, "actions"),
    ],
)
def test_what_cannot_be_ranked_is_refused_in_the_services_words(graph, fields, target):
    error = rank(graph, **fields, status=400).json()["error"]
    assert (error["code"], error["target"]) == ("InvalidRankRequest", target)
    assert error["innererror"]["code"]


def test_other_refusals_have_the_services_shape_too(graph):
    event = rank(graph).json()["eventId"]
    reward, activate = (f"/personalizer/v1.0/events/{event}/{w}" for w in ("reward", "activate"))
    for value in (1.5, "1", None, True):
        error = of(graph, reward, {"value": value}, status=400).json()["error"]
        assert (error["code"], error["target"]) == ("InvalidRewardRequest", "value")
    wrong = of(graph, activate, None, status=401, key="rk_wrong").json()["error"]
    assert (wrong["code"], wrong["innererror"]) == ("401", {"code": "unauthorized"})
    gone = of(graph, "/personalizer/v1.0/evaluations", {}, status=404).json()["error"]
    assert gone["code"] == "ResourceNotFound"
    elsewhere = graph.api.get("/v1/models", headers={"Ocp-Apim-Subscription-Key": graph.key})
    assert elsewhere.status_code == 401


def test_an_event_belongs_to_its_tenant(whole):
    name = new_id()
    asked = {"actions": ACTIONS, "eventId": name}
    whole.ask("POST", RANK, json=asked, status=201)
    path = f"/personalizer/v1.0/events/{name}/reward"
    whole.ask("POST", path, json={"value": 1}, key=whole.key("acme"), status=404)
    theirs = whole.ask("POST", RANK, json=asked, key=whole.key("acme"), status=201)
    assert theirs.headers["x-rapport-decision-id"] != name
    whole.ask("POST", path, json={"value": 1}, key=whole.key("acme"), status=204)
    whole.ask("POST", path, json={"value": 1}, key=whole.key("default", "read"), status=403)


def test_terms_of_the_reward_are_the_tenants_when_the_event_was_made(graph):
    features = row_of(graph, rank(graph))["features"]
    assert (features[DEFAULT_REWARD], features[REWARD_WAIT_S]) == (0.0, 600.0)
