"""TensorZero's tables, in the shapes of its data model as ClickHouse writes them one row a line."""

import datetime as dt
import json

import pytest

from tests.unit.ingest.exports import an_inference, as_jsonl

EPISODE = "01950000-0000-7000-9000-000000000000"


@pytest.fixture
def tables(write, bring):
    """Ingest rows as one file."""
    return lambda *given, **options: bring(
        "tensorzero", write("rows.jsonl", as_jsonl(given)), **options
    )


def in_order(rows):
    return sorted(rows("turns"), key=lambda row: (row["conversation_id"], row["turn_index"]))


def inference(number=0, **fields):
    return an_inference(number, **fields)[0]


def feedback(**fields):
    return {"id": "01950000-0001-7000-a000-000000000001", "tags": {}} | fields


def test_inferences_of_an_episode_become_a_conversation(tables, rows):
    tables(*(inference(n) for n in range(4)))
    turns = in_order(rows)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 4
    assert turns[0]["ts"] == dt.datetime.fromtimestamp(0x0195_0000_0000 / 1e3, dt.UTC)
    assert {(turn["topic"], turn["ts_source"]) for turn in turns} == {("support", "given")}
    assert len({turn["user_id"] for turn in turns}) == 1


def test_a_variant_that_is_an_arm_is_the_replys_and_another_stays_a_feature(tables, rows, write):
    tables(inference(0), inference(1))
    first, second = (turn for turn in in_order(rows) if turn["role"] == "assistant")
    assert (first["arm"], dict(first["features"])) == (None, {"variant.baseline": 1.0})
    assert (second["arm"], second["features"]) == ("question", None)
    mapping = write("map.yaml", "arms: {reflection: [baseline]}\n")
    tables(inference(8), mapping=mapping)
    assert "reflection" in {turn["arm"] for turn in rows("turns")}


def test_feedback_of_every_table_reaches_its_inference_or_episode(tables, rows):
    one, two = inference(0), inference(1)
    shown = json.dumps([{"type": "text", "text": "Say where it hurts."}])
    tables(
        one,
        two,
        feedback(target_id=one["id"], metric_name="task_success", value=True),
        feedback(target_id=EPISODE, metric_name="rating", value=4.0),
        feedback(target_id=one["id"], target_type="inference", value="good"),
        feedback(inference_id=two["id"], value=shown),
    )
    found = {row["metric_name"]: row for row in rows("feedback")}
    assert found["task_success"]["value"] == 1.0
    assert found["rating"]["ts"] > found["task_success"]["ts"]
    assert found["comment"]["text"] == "good"
    assert found["demonstration"]["text"] == "Say where it hurts."
    assert {row["episode_id"] for row in rows("feedback")} == {
        turn["conversation_id"] for turn in rows("turns")
    }


def test_other_tables_and_evaluation_runs_are_left_out_and_counted(tables, rows):
    counts = tables(
        inference(0),
        {**inference(1), "output_schema": "{}"},
        {"id": "m", "inference_id": "i", "raw_request": "{}", "raw_response": "{}"},
        inference(2, tags={"tensorzero::dynamic_evaluation_run_id": "r"}),
        inference(3, output="[]"),
    )
    assert counts["left_out"] == {
        "json inference": 1, "model inference": 1, "evaluation": 1, "without content": 1,
    }  # fmt: skip
    assert counts["calls"] == 1


def test_templates_tools_and_thoughts(tables, rows):
    said = {
        "messages": [
            {"role": "user", "content": [{"type": "template", "name": "user",
                                          "arguments": {"question": "Where is it?"}}]},
            {"role": "assistant", "content": [{"type": "tool_call", "id": "1", "name": "find",
                                               "arguments": "{}"}]},
            {"role": "user", "content": [{"type": "tool_result", "id": "1", "name": "find",
                                          "result": "on the shelf"}]},
        ]
    }  # fmt: skip
    thought = [{"type": "thought", "text": "shelf"}, {"type": "text", "text": "On the shelf."}]
    first = {"messages": said["messages"][:1]}
    tables(
        inference(0, input=json.dumps(first), output=json.dumps(said["messages"][1]["content"])),
        inference(1, input=json.dumps(said), output=json.dumps(thought)),
    )
    told = [(turn["role"], turn["kind"], turn["text"]) for turn in in_order(rows)]
    assert told == [
        ("user", "message", "Where is it?"),
        ("assistant", "tool_call", None),
        ("tool", "tool_result", "on the shelf"),
        ("assistant", "message", "On the shelf."),
    ]


def test_good_rows_beside_bad_ones_go_through(tables, rows):
    counts = tables(
        inference(0, id="no uuid"),
        inference(1, input="{}"),
        feedback(target_id=None, metric_name="rating", value=1.0),
        feedback(target_id="elsewhere", metric_name="rating", value=1.0),
        feedback(target_id=inference(2)["id"], metric_name="rating", value="five"),
        inference(2),
    )
    assert counts["reasons"] == {
        "timestamp: is missing, and the id is no UUIDv7": 1,
        "input: holds no messages": 1,
        "target_id: is missing": 1,
        "about: names nothing that this log holds; ingest calls and scores together": 1,
        "value: is not a number": 1,
    }
    assert len(rows("turns")) == 2
