"""What a tenant may read back, page by page, and what a profile changes."""

import pytest


def test_decisions_come_in_pages_newest_first_and_by_filter(whole):
    made = [whole.decision(**{"rapport::user": {"id": "pages"}}) for _ in range(5)]
    ids = [block["decision_id"] for block in reversed(made)]
    seen, after = [], ""
    while True:
        query = f"/v1/decisions?user=pages&limit=2{after}"
        page = whole.ask("GET", query).json()
        seen += [row["decision_id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['after']}"
    assert seen == ids
    one = whole.ask("GET", f"/v1/decisions?episode_id={made[2]['episode_id']}").json()["data"]
    assert [row["decision_id"] for row in one] == [made[2]["decision_id"]]
    since = whole.ask("GET", f"/v1/decisions/{ids[1]}").json()["ts"].replace("+", "%2B")
    late = whole.ask("GET", f"/v1/decisions?user=pages&since={since}").json()["data"]
    assert [row["decision_id"] for row in late] == ids[:2]


def test_a_tenant_sees_its_own_alone(whole):
    decision_id = whole.decision()["decision_id"]
    acme = whole.key("acme")
    whole.ask("GET", f"/v1/decisions/{decision_id}", key=acme, status=404)
    listed = whole.ask("GET", "/v1/decisions?limit=100", key=acme).json()["data"]
    assert decision_id not in [row["decision_id"] for row in listed]
    assert whole.ask("GET", f"/v1/decisions?after={decision_id}", key=acme).json()["data"] == []


@pytest.mark.parametrize("agreed", [True, False], ids=["agreed", "did not agree"])
@pytest.mark.parametrize("affect", [True, False], ids=["affect", "no affect"])
def test_affect_takes_the_users_purpose_and_the_keys_scope(whole, agreed, affect):
    purposes = ["serve", "memory", "infer_affect"] if agreed else ["serve", "memory"]
    user = {"id": f"affect-{agreed}", "purposes": purposes}
    decision_id = whole.decision(**{"rapport::user": user})["decision_id"]
    key = whole.key("default", "read", "affect") if affect else whole.key("default", "read")
    row = whole.ask("GET", f"/v1/decisions/{decision_id}", key=key).json()
    assert bool(row["features"]) is (agreed and affect)


def test_a_crisis_is_not_told_to_a_key_without_affect(whole):
    block = whole.decision("I am going to kill myself tonight.")
    path = f"/v1/decisions/{block['decision_id']}"
    told = whole.ask("GET", path, key=whole.key("default", "read")).text
    assert "crisis" not in told
    assert "crisis" in whole.ask("GET", path).text


def test_a_profile_holds_for_requests_that_do_not_say_it_themselves(whole):
    profile = {"age_band": "minor", "jurisdiction": "DE", "attributes": {"plan": "gold"}}
    put = whole.ask("PUT", "/v1/users/kim", json=profile).json()
    assert put == {**profile, "purposes": None, "preferences": {}}
    state = whole.ask("GET", "/v1/users/kim/state").json()
    assert state["effective"]["protected"]
    assert state["affect"] is None
    row = whole.store.decision(whole.decision(**{"rapport::user": {"id": "kim"}})["decision_id"])
    assert row["groups"] == {"age_band": "minor", "jurisdiction": "DE"}
    assert list(row["purposes"]) == ["serve"]
    said = {"id": "kim", "age_band": "adult"}
    row = whole.store.decision(whole.decision(**{"rapport::user": said})["decision_id"])
    assert row["groups"]["age_band"] == "adult"


def test_a_profile_replaces_the_one_before(whole):
    whole.ask("PUT", "/v1/users/lee", json={"age_band": "minor", "purposes": []})
    assert whole.ask("PUT", "/v1/users/lee", json={"purposes": ["serve"]}).json() == {
        "age_band": None,
        "jurisdiction": None,
        "purposes": ["serve"],
        "attributes": {},
        "preferences": {},
    }


@pytest.mark.parametrize(
    ("profile", "param"),
    [
        ({"purposes": ["marketing"]}, "purposes"),
        ({"attributes": {"age_band": "9"}}, "attributes"),
        ({"birthday": "x"}, "birthday"),
        ({"attributes": {"a": 1}}, "attributes.*"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_naming_the_field(whole, profile, param):
    error = whole.ask("PUT", "/v1/users/lee", json=profile, status=400).json()["error"]
    assert error["param"] == param


def test_an_unknown_user_has_an_open_profile(whole):
    state = whole.ask("GET", "/v1/users/nobody/state").json()
    assert state["profile"]["age_band"] is None
    assert state["effective"]["age_band"] == "adult"
    assert state["affect"] == {"persona_id": None, "curve": None, "last_arm": None}


def test_what_serves_is_listed(fast):
    def get(path):
        return fast.api.get(path, headers=fast.headers).json()

    releases = get("/v1/releases")
    (serving,) = [one for one in releases["data"] if one["serves"]]
    assert serving["current"]
    assert serving["release_id"] == get("/readyz")["release_id"]
    personas = get("/v1/personas")
    assert personas["release_id"] == serving["release_id"]
    assert personas["data"]
