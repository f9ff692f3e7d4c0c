"""Every answer of the table in `serve.feedback`, and what feedback does to rewards."""

import pytest

from rapport.config import JobConfig
from rapport.lake import Lake
from rapport.pipeline.outbox import relay_all
from rapport.pipeline.rewards import reward_log
from tests.serve.light import body


@pytest.fixture
def acme(whole):
    return whole.key("acme")


def test_a_repeat_under_the_same_id_counts_once(whole):
    decision_id = whole.decision()["decision_id"]
    given = {"decision_id": decision_id, "metric_name": "rating", "value": 5, "feedback_id": "f-1"}
    assert whole.feedback(**given) == whole.feedback(**given)
    assert len(whole.store.feedback_of(decision_id=decision_id)) == 1


@pytest.mark.parametrize("change", [{"value": 1}, {"metric_name": "thumbs", "value": 1}])
def test_the_same_id_with_other_content_is_409(whole, change):
    decision_id = whole.decision()["decision_id"]
    given = {"decision_id": decision_id, "metric_name": "rating", "value": 5}
    whole.feedback(**given, feedback_id=f"x{decision_id}")
    error = whole.feedback(**(given | change), feedback_id=f"x{decision_id}", status=409)["error"]
    assert (error["code"], error["param"]) == ("conflict", "feedback_id")


def test_what_was_not_issued_is_404(whole, acme):
    mine = whole.decision()
    dry = whole.decision(**{"rapport::dryrun": True})
    assert dry["decision_id"] is None
    given = {"metric_name": "rating", "value": 5, "status": 404}
    whole.feedback(decision_id="01a214c2-0000-7000-8000-000000000000", **given)
    whole.feedback(episode_id="never", **given)
    whole.feedback(decision_id=mine["decision_id"], key=acme, **given)
    whole.feedback(episode_id=mine["episode_id"], key=acme, **given)


def test_feedback_on_a_reply_that_is_still_being_said_counts(local):
    asked = body(max_tokens=200, stream=True)
    with local.client.stream("POST", "/v1/chat/completions", json=asked) as answer:
        decision_id = answer.headers["x-rapport-decision-id"]
        given = {"decision_id": decision_id, "metric_name": "thumbs", "value": True}
        assert local.client.post("/v1/feedback", json=given).status_code == 200
        answer.read()
    assert len(local.store.feedback_of(decision_id=decision_id)) == 1
    assert local.store.decision(decision_id)["tokens_out"] > 0


@pytest.mark.parametrize(
    ("metric", "value", "sentiment"),
    [
        ("nps", 10, 1.0),
        ("nps", 0, -1.0),
        ("effort", 1, 1.0),
        ("effort", 7, -1.0),
        ("resolved", False, -1.0),
        ("rating", 4, 0.5),
        ("dwell", 12.5, None),
    ],
)
def test_a_tenants_own_metrics_are_taken(whole, acme, metric, value, sentiment):
    decision_id = whole.decision(key=acme)["decision_id"]
    taken = whole.feedback(decision_id=decision_id, metric_name=metric, value=value, key=acme)
    assert taken["sentiment"] == taken["reward"] == sentiment


@pytest.mark.parametrize(
    ("metric", "value", "param"),
    [
        ("nps", 11, "value"),
        ("nps", True, None),
        ("resolved", 0.5, "value"),
        ("remark", 3, "value"),
        ("remark", " ", "value"),
        ("dwell", -1, "value"),
        ("mood", 1, "metric_name"),
    ],
)
def test_what_is_not_declared_or_outside_is_400(whole, acme, metric, value, param):
    decision_id = whole.decision(key=acme)["decision_id"]
    given = {"decision_id": decision_id, "metric_name": metric, "value": value, "key": acme}
    if param is None:
        whole.feedback(**given)
    else:
        assert whole.feedback(**given, status=400)["error"]["param"] == param


def test_other_tenants_do_not_have_them(whole):
    decision_id = whole.decision()["decision_id"]
    given = {"decision_id": decision_id, "metric_name": "nps", "value": 5, "status": 400}
    assert "rating" in whole.feedback(**given)["error"]["message"]


def test_a_comments_sentiment_is_read_only_where_the_user_agreed(whole, acme):
    agreed = whole.decision(key=acme)["decision_id"]
    refused = whole.decision(key=acme, **{"rapport::user": {"id": "no", "purposes": ["serve"]}})
    given = {"metric_name": "comment", "value": "That was wonderful, thank you!", "key": acme}
    assert whole.feedback(decision_id=agreed, **given)["sentiment"] > 0
    assert whole.feedback(decision_id=refused["decision_id"], **given)["sentiment"] is None


def rewards(whole, decision_id):
    config = JobConfig(home=whole.home, tenant="acme")
    relay_all(config)
    reward_log(config)
    rows = (
        Lake(whole.home / "lake")
        .scan("rewards", purpose="analytics")
        .collect()
        .filter(decision_id=decision_id)
    )
    return rows.sort("as_of").to_dicts()


def channels(row):
    """Channel to what it said; polars gives maps as lists of keys and values."""
    told = row["channels"]
    return {one["key"]: one["value"] for one in told} if isinstance(told, list) else dict(told)


def test_the_next_message_is_feedback_and_late_feedback_adds_a_version(whole, acme):
    """Rewards are computed anew, never overwritten: the latest row of a decision counts."""
    asked = {"key": acme, "rapport::user": {"id": "late"}, "rapport::episode_id": "late-1"}
    first = whole.decision("I feel so low and hopeless about my work today.", **asked)
    whole.decision("You are right, I feel hopeful and happy again, it is great!", **asked)
    decision_id = first["decision_id"]
    (heard,) = rewards(whole, decision_id)
    assert channels(heard)["sentiment"] > 0
    whole.feedback(decision_id=decision_id, metric_name="rating", value=1, key=acme)
    again = rewards(whole, decision_id)
    assert len(again) == 2
    assert again[0] == heard
    assert again[1]["value"] < heard["value"]
    assert len(rewards(whole, decision_id)) == 2


def test_a_declared_metric_pays_into_its_channel(whole, acme):
    decision_id = whole.decision(key=acme)["decision_id"]
    other = whole.decision(key=acme)["decision_id"]
    whole.feedback(decision_id=decision_id, metric_name="nps", value=10, key=acme)
    whole.feedback(decision_id=other, metric_name="effort", value=7, key=acme)
    (paid,) = rewards(whole, decision_id)
    assert channels(paid)["rating"] == pytest.approx(1.0)
    unpaid = rewards(whole, other)
    assert all(row["value"] is None for row in unpaid)
