"""Langfuse's exports, in the shapes of its field reference for blob storage and its public API."""

import datetime as dt
import json

import pytest

from rapport.governance.feedback import BooleanMetric, FloatMetric
from rapport.governance.tenants import EMBEDDED
from tests.unit.ingest.exports import a_generation, as_jsonl

ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "It hurts."}]


@pytest.fixture
def export(write, bring):
    """Ingest records as one file."""
    return lambda *records, **options: bring(
        "langfuse", write("observations.jsonl", as_jsonl(records)), **options
    )


def in_order(rows):
    return sorted(rows("turns"), key=lambda row: (row["conversation_id"], row["turn_index"]))


def observation(**fields):
    return a_generation()[0] | {"input": ASKED, "output": "Where?"} | fields


def score(**fields):
    return a_generation()[1] | fields


def test_a_chat_logged_whole_at_every_turn_becomes_each_turn_once(export, rows):
    counts = export(*(record for n in range(4) for record in a_generation(n)))
    turns = in_order(rows)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 4
    assert [turn["text"] for turn in turns[2:4]] == [
        "Worry 1 of chat 0.",
        "What is behind worry 1 of 0?",
    ]
    assert turns[3]["ts"] - turns[2]["ts"] == dt.timedelta(seconds=2.5)
    assert {(t["user_id"], t["ts_source"], t["source"]) for t in turns} == {
        (turns[0]["user_id"], "given", "langfuse")
    }
    assert (counts["calls"], counts["calls_without_session"], counts["left_out"]) == (4, 0, {})


def test_scores_stand_at_their_observation_or_the_last_answer_of_trace_or_session(export, rows):
    export(
        observation(id="a", start_time="2026-03-01 10:00:00.000000"),
        observation(id="b", start_time="2026-03-01 10:01:00.000000", input="More."),
        observation(id="c", trace_id="t2", start_time="2026-03-01 10:02:00.000000"),
        score(id="1", observation_id="a", value=1),
        score(id="2", value=2),
        score(id="3", trace_id=None, session_id="talk 0", value=3),
        {**score(id="4", value=4), "observation_id": "some span"},
    )
    replies = [turn for turn in in_order(rows) if turn["role"] == "assistant"]
    just_after = {reply["ts"] + dt.timedelta(microseconds=1): i for i, reply in enumerate(replies)}
    stands = {row["value"]: just_after[row["ts"]] for row in rows("feedback")}
    assert stands == {1.0: 0, 2.0: 1, 3.0: 2, 4.0: 1}


def test_a_score_about_nothing_in_the_log_is_refused_alone(export, rows):
    counts = export(score(trace_id="elsewhere"), score(trace_id=None), *a_generation())
    assert counts["reasons"] == {
        "about: names nothing that this log holds; ingest calls and scores together": 1,
        "trace_id: is missing, and so are observation_id and session_id": 1,
    }
    assert counts["tables"]["feedback"]["kept"] == 1


def test_a_late_score_is_taken_when_both_come_together_and_nothing_comes_twice(export, rows):
    whole, rated = a_generation()
    export(whole)
    assert export(rated)["tables"]["feedback"]["quarantined"] == 1
    again = export(whole, rated)
    assert again["tables"]["turns"] == {"read": 2, "kept": 0, "duplicate": 2, "quarantined": 0}
    assert again["tables"]["feedback"]["kept"] == len(rows("feedback")) == 1


def test_what_is_no_chat_is_left_out_and_counted(export, rows):
    counts = export(
        observation(id="1", type="SPAN"),
        observation(id="2", type="TOOL"),
        observation(id="3", level="ERROR", output=""),
        observation(id="4", output=None),
        observation(id="5", environment="langfuse-llm-as-a-judge"),
        observation(id="6"),
        observation(id="7", start_time="2026-03-01 10:00:30.000000", output="Where now?"),
        score(dataset_run_id="run 1"),
    )
    assert counts["left_out"] == {
        "span": 1, "tool": 1, "failed": 1, "without content": 1, "evaluation": 1, "retry": 1,
        "experiment score": 1,
    }  # fmt: skip
    assert [turn["text"] for turn in in_order(rows)] == ["It hurts.", "Where now?"]


def test_good_calls_beside_bad_ones_go_through(export, rows):
    counts = export(
        observation(id="1", start_time="yesterday"),
        observation(id="2", start_time=None),
        observation(id="3", input={"question": "why"}),
        observation(id="4", trace_id="t4", input=[{"role": "narrator", "content": "Then."}]),
        {"id": "5", "name": "x"},
        observation(id="6", trace_id="t6"),
    )
    assert counts["reasons"] == {
        "start_time: is no time that can be read": 1,
        "start_time: is missing": 1,
        "input: holds no messages": 1,
        "input[].role: is none of assistant, developer, function, system, tool, user": 1,
        "type: is missing: this is no observation, score or trace": 1,
    }
    assert len(rows("turns")) == 2
    assert all("user-0" not in (row["row"] or "") for row in rows("quarantine"))


def test_the_older_export_takes_user_and_session_from_its_traces(export, rows):
    older = {k: v for k, v in observation().items() if k not in ("user_id", "session_id")}
    trace = {
        "id": "trace-0", "timestamp": "2026-03-01 10:00:00.000000", "name": "answer",
        "user_id": "ann", "session_id": "s", "metadata": {"language": "en"}, "tags": [],
    }  # fmt: skip
    counts = export(older, trace)
    turn = in_order(rows)[0]
    assert (counts["calls_without_user"], counts["calls_without_session"]) == (0, 0)
    assert dict(turn["groups"])["language"] == "en"


def test_a_trace_of_the_public_api_holds_its_observations_and_scores(export, rows):
    one = {
        "id": "trace-0", "timestamp": "2026-03-01T10:00:00.000Z", "userId": "ann", "sessionId": "s",
        "observations": [
            {"id": "o", "traceId": "trace-0", "type": "GENERATION", "input": ASKED,
             "startTime": "2026-03-01T10:00:00.000Z", "endTime": "2026-03-01T10:00:01.000Z",
             "output": {"choices": [{"message": {"role": "assistant", "content": "Where?"}}]}},
        ],
        "scores": [{"id": "c", "name": "thumbs", "value": 1, "dataType": "BOOLEAN",
                    "traceId": "trace-0", "source": "API", "comment": "kind"}],
    }  # fmt: skip
    counts = export({"data": [one], "meta": {"page": 1}})
    assert counts["calls"] == 1
    assert counts["calls_without_user"] == 0
    said = {row["metric_name"]: (row["value"], row["text"]) for row in rows("feedback")}
    assert said == {"thumbs": (1.0, None), "comment": (None, "kind")}


def test_a_declared_metric_says_how_good_its_value_is_and_others_are_kept_as_they_are(
    export, rows, write
):
    mapping = write("map.yaml", "metrics: {thumbs: [user-feedback]}\narm: prompt_name\n")
    mapping.write_text(mapping.read_text() + "arms: {question: [ask]}\n")
    policy = EMBEDDED.model_copy(update={"metrics": {"nps": FloatMetric(low=0, high=10)}})
    counts = export(
        observation(prompt_name="ask"),
        score(name="user-feedback", value=1, data_type="BOOLEAN"),
        score(name="nps", value=10),
        score(name="helpful", data_type="CATEGORICAL", value=0, string_value="very"),
        score(name="tone", value=0.4, source="EVAL", comment="the judge's reasons"),
        score(name="nps", value=11),
        policy=policy,
        mapping=mapping,
    )
    found = {r["metric_name"]: (r["value"], r["text"], r["sentiment"]) for r in rows("feedback")}
    assert found == {
        "thumbs": (1.0, None, 1.0),
        "nps": (10.0, None, 1.0),
        "helpful": (None, "very", None),
        "tone": (0.4, None, None),
    }
    assert counts["reasons"] == {"nps: is not 0 to 10": 1}
    assert counts["undeclared_feedback"] == 2
    assert in_order(rows)[1]["arm"] == "question"
    assert isinstance(EMBEDDED.declared()["thumbs"], BooleanMetric)


def test_steps_of_an_agent_become_what_was_new_in_each(export, rows):
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    step = {"role": "assistant", "content": None, "tool_calls": [call]}
    export(
        observation(id="1", output=json.dumps(step)),
        observation(
            id="2",
            start_time="2026-03-01 10:00:05.000000",
            end_time=None,
            input=[*ASKED, step, {"role": "tool", "content": "found"}],
            output="There.",
        ),
    )
    told = [(turn["role"], turn["kind"], turn["text"]) for turn in in_order(rows)]
    assert told == [
        ("user", "message", "It hurts."),
        ("assistant", "tool_call", None),
        ("tool", "tool_result", "found"),
        ("assistant", "message", "There."),
    ]


def test_without_a_session_every_trace_is_a_conversation(export, rows):
    counts = export(observation(session_id=""), observation(id="x", trace_id="t2", session_id=None))
    assert counts["calls_without_session"] == 2
    assert len({turn["conversation_id"] for turn in rows("turns")}) == 2
