import datetime as dt
from itertools import pairwise

import numpy as np
import pytest

from rapport.governance.tenants import EMBEDDED
from rapport.home import user_key
from rapport.ingest.batch import Intake
from rapport.ingest.dialogue_rows import ARM_ORDER, DialogueRows, Rating, Told
from rapport.ingest.dialogues import parse
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_TEXT, to_table

SECRET = b"k" * 32
INTAKE = Intake(tenant="default", secret=SECRET, policy=EMBEDDED)
EVEN = np.full(8, 1 / 8)


def rows_of(record, *, survey=()):
    dialogue = parse(record, tenant="default")
    runs = [run for run in dialogue.runs if run.role == "assistant"]
    ratings = [Rating(run, run.last + 1, 4) for run in runs]
    told = Told(dialogue, "esconv", dict(survey), ratings)
    texts = stored_texts(turn.text for turn in dialogue.turns)
    return DialogueRows(told, INTAKE, texts=texts), runs


def test_every_row_fits_the_schema(a_record):
    rows, runs = rows_of(a_record(), survey={"empathy": 4, "initial_emotion_intensity": 5})
    to_table("turns", rows.turns())
    to_table("decisions", [rows.decision(run, EVEN) for run in runs])
    to_table("feedback", rows.feedback())
    to_table("users", [rows.user()])


def test_consecutive_turns_stay_rows_and_the_seeker_is_the_user(a_record):
    rows, _ = rows_of(a_record())
    turns = rows.turns()
    assert [turn["turn_index"] for turn in turns] == list(range(7))
    assert [turn["role"][0] for turn in turns] == list("uauaauu")
    assert [turn["arm"] for turn in turns[1:5]] == ["question", None, "reflection", "suggestion"]
    assert {turn["user_id"] for turn in turns} == {user_key(SECRET, "default", "valid-0000")}
    assert turns[0]["groups"] == {
        "age_band": "adult",
        "experience_type": "Current Experience",
        "emotion_type": "anxiety",
        "problem_type": "academic pressure",
    }


def test_a_dialogue_without_a_name_has_its_id_as_user(a_record):
    rows, _ = rows_of(a_record(layout="published"))
    turn = rows.turns()[0]
    assert turn["user_id"] == user_key(SECRET, "default", turn["conversation_id"])


def test_a_mixed_run_is_one_decision_at_its_last_turn(a_record):
    rows, runs = rows_of(a_record())
    probabilities = np.linspace(1, 2, 8) / 12
    decision = rows.decision(runs[1], probabilities)
    taken = decision["candidates"][decision["action_index"]]
    assert (decision["turn_index"], taken["arm"]) == (4, "suggestion")
    assert decision["features"] == {"mixed": 1.0, "run_turns": 2.0}
    assert taken["text"] == "That sounds heavy. You could plan one hour a day."
    assert decision["propensity"] == taken["probability"] == probabilities[4]
    assert [c["arm"] for c in decision["candidates"]] == list(ARM_ORDER)
    assert [c["text"] for c in decision["candidates"]].count(None) == 7
    assert rows.decision(runs[0], EVEN)["features"]["mixed"] == 0.0


def test_ratings_belong_to_decisions_and_surveys_to_the_episode(a_record):
    rows, runs = rows_of(a_record(), survey={"empathy": 4, "initial_emotion_intensity": 5})
    decisions = [rows.decision(run, EVEN)["decision_id"] for run in runs]
    feedback = rows.feedback()
    assert [row["decision_id"] for row in feedback] == [*decisions, None, None]
    assert [row["value"] for row in feedback] == [4.0, 4.0, 4.0, 5.0]
    assert len({row["feedback_id"] for row in feedback}) == 4
    assert {row["episode_id"] for row in feedback} == {rows.turns()[0]["conversation_id"]}


def test_the_clock_follows_from_the_content_and_runs_forward(a_record):
    survey = {"empathy": 4, "initial_emotion_intensity": 5}
    rows, _ = rows_of(a_record(), survey=survey)
    again, _ = rows_of(a_record(), survey=survey)
    turns, feedback = rows.turns(), rows.feedback()
    assert [turn["ts"] for turn in turns] == [turn["ts"] for turn in again.turns()]
    steps = {b["ts"] - a["ts"] for a, b in pairwise(turns)}
    assert steps == {dt.timedelta(seconds=30)}
    by_metric = {row["metric_name"]: row["ts"] for row in feedback}
    assert by_metric["initial_emotion_intensity"] < turns[0]["ts"]
    assert by_metric["empathy"] > turns[-1]["ts"]
    assert {turn["ts_source"] for turn in turns} == {"estimated"}


@pytest.mark.parametrize("said_at", [2, 4])
def test_a_crisis_keeps_its_row_and_nothing_can_be_learned_beside_it(a_record, said_at):
    record = a_record()
    record["dialog"][said_at]["text"] = "I want to kill myself."
    rows, runs = rows_of(record)
    turns = rows.turns()
    assert (turns[said_at]["text"], turns[said_at]["facet"]) == (CRISIS_TEXT, "crisis")
    assert [turn["facet"] for turn in turns].count("crisis") == 1
    guards = [{c["guard"] for c in rows.decision(run, EVEN)["candidates"]} for run in runs]
    assert guards == [{None}, {"crisis"}]
    choices = rows.choices(fit=True)
    assert said_at != 2 or choices[1][1].message == CRISIS_TEXT


def test_what_was_known_before_a_run_comes_from_before_it(a_record):
    rows, _ = rows_of(a_record(5))
    first, second = (choice for _, choice in rows.choices(fit=True))
    assert (first.position, first.previous) == (0, "")
    assert first.message == "The exams are in June and I cannot sleep, number 5."
    assert (second.position, second.previous) == (1, "question")
    assert second.message == "Mostly the thought of the first one."
    assert ARM_ORDER[second.arm] == "suggestion"


def test_identifying_strings_in_labels_are_redacted(a_record):
    rows, _ = rows_of(a_record(problem_type="mail bob@example.org"))
    assert "bob" not in str(rows.turns()[0]) + str(rows.user())
