import json
from typing import Any

import pytest

EVENT: dict[str, Any] = {
    "_label_cost": -1,
    "_label_probability": 0.8166667,
    "_label_Action": 2,
    "_labelIndex": 1,
    "o": [{"v": 1.0, "EventId": "e1"}],
    "Timestamp": "2021-07-29T10:00:00.9990000Z",
    "Version": "1",
    "EventId": "e1",
    "a": [2, 1, 3],
    "c": {
        "User": {"device": "phone", "age": 31, "_skip": 3},
        "new": True,
        "_multi": [
            {"_tag": "news", "Topic": {"kind": "News"}},
            {"Topic": {"kind": "Sports", "length": 2.5}},
            {"arm": "question", "other": False},
        ],
    },
    "p": [0.8166667, 0.0916667, 0.0916666],
    "VWState": {"m": "model-7"},
}


@pytest.fixture
def events(write, bring):
    """Ingest events as one file."""

    def events(*given, **options):
        text = "".join(json.dumps(one) + "\n" for one in given)
        return bring("vw-dsjson", write("log.dsjson", text), **options)

    return events


def changed(**fields):
    return {k: v for k, v in {**EVENT, **fields}.items() if v is not None}


def test_an_event_becomes_a_decision_with_its_features_and_its_reward(events, rows):
    events(EVENT)
    (row,), (feedback,) = rows("decisions"), rows("feedback")
    assert dict(row["features"]) == {"User.device=phone": 1.0, "User.age": 31.0, "new": 1.0}
    first, second, third = row["candidates"]
    assert (first["candidate_id"], first["arm"]) == ("news", None)
    assert dict(second["features"]) == {"Topic.kind=Sports": 1.0, "Topic.length": 2.5}
    assert (third["arm"], third["features"]) == ("question", None)
    assert [one["probability"] for one in row["candidates"]] == [0.0916667, 0.8166667, 0.0916666]
    assert (row["action_index"], row["propensity"]) == (1, 0.8166667)
    assert (row["mode"], row["delivered"], row["policy_version"]) == ("rank", "full", "model-7")
    assert f"{row['ts']:%Y-%m-%d %H:%M:%S.%f}" == "2021-07-29 10:00:00.999000"
    assert (feedback["metric_name"], feedback["value"]) == ("reward", 1.0)


def test_without_p_the_label_is_all_that_is_known(events, rows):
    events(changed(a=None, p=None, _label_probability=0.5, _labelIndex=None))
    (row,) = rows("decisions")
    assert [one["probability"] for one in row["candidates"]] == [0.25, 0.5, 0.25]
    assert dict(row["features"])["rest_filled"] == 1.0


def test_what_was_never_carried_out_teaches_nothing(events, rows):
    events(changed(_skipLearn=True))
    assert rows("feedback") == []
    assert rows("decisions")[0]["delivered"] == "fallback"


def test_a_sampled_log_says_so_and_keeps_the_actions_own_probability(events, rows):
    events(changed(pdrop=0.5, _label_probability=0.40833335))
    (row,) = rows("decisions")
    assert (row["propensity"], dict(row["features"])["pdrop"]) == (0.8166667, 0.5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"c": None}, "c._multi"),
        ({"c": {"_multi": []}}, "c._multi"),
        ({"c": {**EVENT["c"], "_slots": [{}]}}, "c._slots"),
        ({"c": {"_multi": [1, {}, {}]}}, "c._multi[0]"),
        ({"a": [1, 1, 2]}, "a"),
        ({"a": [2, 1, True]}, "a"),
        ({"p": [0.5, 0.5]}, "a"),
        ({"p": [0.8166667, 0.5, 0.5]}, "candidates.probability"),
        ({"_label_probability": 0.3}, "_label_probability"),
        ({"a": None, "p": None, "_label_probability": 0}, "_label_probability"),
        ({"a": None, "p": None, "_labelIndex": 9}, "_labelIndex"),
        ({"Timestamp": "soon"}, "timestamp"),
    ],
)
def test_an_event_with_a_fault_is_refused_alone(events, rows, fields, field):
    counts = events(changed(**fields), changed(EventId="e2"))
    assert [row["field"] for row in rows("quarantine")] == [field]
    table = counts["tables"]["decisions"]
    assert (table["read"], table["kept"], table["quarantined"]) == (2, 1, 1)


def test_a_cost_outside_the_rewards_range_is_refused_without_its_decision(events, rows):
    events(changed(_label_cost=-3))
    assert [row["field"] for row in rows("quarantine")] == ["reward"]
    assert len(rows("decisions")) == 1


def test_the_same_file_again_and_a_line_that_is_no_json(write, bring, rows):
    file = write("log.dsjson", json.dumps(EVENT) + "\n{oops\n[1]\n")
    first, again = bring("vw-dsjson", file), bring("vw-dsjson", file)
    assert [counts["tables"]["decisions"]["kept"] for counts in (first, again)] == [1, 0]
    assert again["tables"]["decisions"]["duplicate"] == 1
    assert len(rows("quarantine")) == 2
