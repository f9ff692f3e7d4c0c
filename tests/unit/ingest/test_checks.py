import datetime as dt

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.ingest.checks import faults
from rapport.schema import schema_of
from rapport.testing.rows import a_decision, a_turn, some_feedback


def frame_of(table, rows):
    """Rows as a frame of the schema's types, nulls allowed everywhere."""
    schema = pa.schema([field.with_nullable(True) for field in schema_of(table)])
    return pl.DataFrame(pa.Table.from_pylist(rows, schema=schema))


def fault(table, row):
    found = faults(table, frame_of(table, [row]))
    return (found[0].field, found[0].reason) if found else None


def test_builders_rows_have_no_fault():
    assert faults("turns", frame_of("turns", [a_turn(turn_index=i) for i in range(4)])) == []
    assert fault("decisions", a_decision()) is None
    assert fault("feedback", some_feedback()) is None


BAD_TURNS = [
    ({"ts": dt.datetime(1812, 1, 1, tzinfo=dt.UTC)}, "ts"),
    ({"ts": dt.datetime(9000, 1, 1, tzinfo=dt.UTC)}, "ts"),
    ({"ts": None}, "ts"),
    ({"ts_source": "guessed"}, "ts_source"),
    ({"user_id": None}, "user_id"),
    ({"user_id": ""}, "user_id"),
    ({"role": "narrator"}, "role"),
    ({"turn_index": -1}, "turn_index"),
    ({"text": None}, "text"),
    ({"arm": "hypnosis"}, "arm"),
    ({"agent_id": "weather"}, "agent_id"),
    ({"purposes": []}, "purposes"),
    ({"purposes": None}, "purposes"),
    ({"groups": None}, "groups"),
]


@pytest.mark.parametrize(("changed", "field"), BAD_TURNS)
def test_a_turn_that_breaks_a_rule_names_the_field(changed, field):
    assert fault("turns", {**a_turn(), **changed})[0] == field


def test_only_messages_need_a_text():
    assert fault("turns", {**a_turn(), "text": None, "kind": "click"}) is None


def with_candidate(**changed):
    row = a_decision()
    row["candidates"][1].update(changed)
    return row


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (with_candidate(arm="hypnosis"), "candidates.arm", "is in no menu"),
        (with_candidate(arm=None), "candidates.arm", "is missing"),
        (with_candidate(probability=0.4), "candidates.probability", "do not sum to 1"),
        (with_candidate(probability=1.5), "candidates.probability", "is outside 0 to 1"),
        (with_candidate(probability=float("nan")), "candidates.probability", "is outside 0 to 1"),
        (with_candidate(probability=None), "candidates.probability", "is outside 0 to 1"),
        ({**a_decision(), "candidates": []}, "candidates", "are none"),
        ({**a_decision(), "action_index": 2}, "action_index", "names no candidate"),
        ({**a_decision(), "action_index": -1}, "action_index", "names no candidate"),
        (
            {**a_decision(), "propensity": 0.5 + 1e-12},
            "propensity",
            "is not the taken candidate's probability",
        ),
        (a_decision(probabilities=[0.0, 1.0]), "propensity", "is 0"),
        ({**a_decision(), "mode": "dice"}, "mode", None),
        ({**a_decision(), "delivered": "later"}, "delivered", None),
        ({**a_decision(), "propensity_source": "felt"}, "propensity_source", None),
        ({**a_decision(), "explored": None}, "explored", "is missing"),
    ],
)
def test_a_decision_that_breaks_a_rule_names_field_and_reason(row, field, reason):
    found = fault("decisions", row)
    assert found[0] == field
    assert reason in (None, found[1])


def test_a_control_decision_needs_no_arm():
    row = a_decision(arms=["question"], mode="control", delivered="control")
    row["candidates"][0]["arm"] = None
    assert fault("decisions", row) is None
    assert fault("decisions", {**row, "mode": "arm_first"}) == ("candidates.arm", "is missing")


@settings(max_examples=30, deadline=None)
@given(
    probabilities=st.lists(st.floats(0.01, 1), min_size=1, max_size=8).map(
        lambda weights: [weight / sum(weights) for weight in weights]
    ),
    off=st.floats(-0.5, 0.5),
)
def test_probabilities_must_sum_to_one_within_1e_9(probabilities, off):
    row = a_decision(arms=["question"] * len(probabilities), probabilities=probabilities)
    assert fault("decisions", row) is None
    row["candidates"][0]["probability"] += off
    row["propensity"] = row["candidates"][0]["probability"]
    assert (fault("decisions", row) is None) == (abs(off) < 1e-9)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"value": 9.0}, "is outside 1 to 5"),
        ({"value": 0.0}, "is outside 1 to 5"),
        ({"value": float("nan")}, "is not a finite number"),
        ({"value": None}, "is missing"),
        ({"metric_name": "thumbs", "value": 2.0}, "is outside 0 to 1"),
        ({"metric_name": "task_success", "value": -1.0}, "is outside 0 to 1"),
        ({"metric_name": "dwell", "value": -3.0}, "is below 0"),
        ({"decision_id": None, "episode_id": None}, "is missing, and so is episode_id"),
    ],
)
def test_feedback_that_breaks_a_rule_gives_the_reason(changed, reason):
    assert fault("feedback", {**some_feedback(), **changed})[1] == reason


def test_a_comment_needs_no_value():
    comment = {"metric_name": "comment", "value": None, "text": "It helped."}
    assert fault("feedback", {**some_feedback(), **comment}) is None


def test_a_row_has_one_fault_however_many_rules_it_breaks():
    rows = [a_turn(), {**a_turn(), "ts": None, "role": "narrator", "arm": "hypnosis"}, a_turn()]
    found = faults("turns", frame_of("turns", rows))
    assert [(one.row, one.field) for one in found] == [(1, "ts")]
