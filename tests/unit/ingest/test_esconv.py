import json
from pathlib import Path

import pytest

from rapport.errors import ConfigError
from rapport.schema import CRISIS_TEXT

DATA = Path(__file__).parents[3] / "../shared/data/esconv"


@pytest.fixture
def folder(write, a_record, rated_lines):
    write("esconv.jsonl.gz", [a_record(n) for n in range(3)])
    write("failed_esconv.json.gz", [a_record(n, layout="failed") for n in range(5, 7)])
    return write("turn_feedback.csv", rated_lines(0, 1, 2)).parent


def test_a_folder_is_accounted_for(bring, folder, rows):
    counts = bring("esconv", folder)
    assert counts["dialogues"] == {
        "dialogues": 3,
        "turn_ratings": 6,
        "mixed_runs": 3,
        "survey_scores": 9,
        "failed_dialogues": 2,
        "failed_turn_ratings": 4,
        "failed_mixed_runs": 2,
        "failed_survey_scores": 6,
    }
    assert (counts["turns"], counts["decisions"], counts["users"]) == (35, 10, 5)
    assert counts["feedback"] == 6 + 9 + 4 + 6
    assert json.loads(json.dumps(counts)) == counts
    sources = [row["source"] for row in rows("decisions")]
    assert (sources.count("esconv"), sources.count("esconv_failed")) == (6, 4)


def test_a_second_ingest_changes_nothing(bring, folder, lake, rows):
    bring("esconv", folder)
    before = {name: (lake.version(name), rows(name)) for name in lake.tables()}
    again = bring("esconv", folder)
    assert {name: (lake.version(name), rows(name)) for name in lake.tables()} == before
    assert all(tally["kept"] == 0 for tally in again["tables"].values())
    assert again["tables"]["dialogues"]["duplicate"] == 3


def test_a_run_that_died_between_two_tables_is_completed_by_the_next(bring, folder, lake, rows):
    whole = bring("esconv", folder)
    for table in ("feedback", "users"):
        for file in sorted((Path(lake.root) / table).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
    repaired = bring("esconv", folder)
    assert repaired["tables"]["turns"]["kept"] == 0
    assert repaired["tables"]["feedback"]["kept"] == whole["feedback"] == len(rows("feedback"))


def test_names_and_places_of_files_do_not_matter(bring, write, a_record, rows):
    records = [a_record(n, layout="published") for n in range(2)]
    bring("esconv", write("ESConv.json", records))
    again = bring("esconv", write("copy.jsonl", list(reversed(records))))
    assert again["tables"]["turns"]["kept"] == 0
    assert len(rows("decisions")) == 4


@pytest.mark.parametrize("name", ["ESConv.json", "ESConv.json.gz", "esconv.jsonl"])
def test_the_published_layout_is_read_as_file_and_as_folder(bring, write, a_record, name, rows):
    path = write(name, [a_record(n, layout="published") for n in range(3)], indent=4)
    assert bring("esconv", path)["dialogues"]["turn_ratings"] == 6
    again = bring("esconv", path.parent)
    assert again["tables"]["turns"] == {"read": 21, "kept": 0, "duplicate": 21, "quarantined": 0}
    assert {row["propensity_source"] for row in rows("decisions")} == {"estimated"}


def test_ratings_of_the_folder_and_of_the_dialogue_itself_are_the_same_rows(
    bring, folder, write, a_record
):
    bring("esconv", folder)
    published = write("ESConv.json", [a_record(n, layout="published") for n in range(3)])
    again = bring("esconv", published)
    assert again["tables"]["decisions"]["kept"] == again["tables"]["feedback"]["kept"] == 0


def test_bad_lines_are_quarantined_and_good_ones_kept(bring, write, a_record, rated_lines, rows):
    good = [json.dumps(a_record(n)) for n in range(4)]
    lines = [
        good[0].encode(),
        good[1].encode()[:-40],
        json.dumps(a_record(10, emotion_type=...)).encode(),
        good[2].encode().replace(b"exams", b"ex\xe4ms"),
        b'{"dialog": "' + b"x" * (9 * 2**20) + b'"}',
        good[3].encode(),
    ]
    write("esconv.jsonl", b"\n".join(lines) + b"\n")
    ratings = rated_lines(0, 3).replace(",4\n", ",9\n", 1)
    counts = bring("esconv", write("turn_feedback.csv", ratings).parent)
    assert counts["tables"]["dialogues"] == {
        "read": 6,
        "kept": 2,
        "duplicate": 0,
        "quarantined": 4,
    }
    assert counts["dialogues"]["turn_ratings"] == 3
    found = {row["position"]: row for row in rows("quarantine")}
    assert {position: (row["field"], row["reason"]) for position, row in found.items()} == {
        "esconv.jsonl line 2": (None, "is not JSON"),
        "esconv.jsonl line 3": ("emotion_type", "is missing"),
        "esconv.jsonl line 4": (None, "is not UTF-8"),
        "esconv.jsonl line 5": (None, "is longer than 8 MiB"),
        "turn_feedback.csv line 2": ("feedback", "is not a whole number from 1 to 5"),
    }
    assert all(len(row["row"]) <= 500 for row in found.values())
    bring("esconv", write("turn_feedback.csv", ratings).parent)
    assert len(rows("quarantine")) == 5


def test_a_score_out_of_range_is_refused_alone(bring, write, a_record, rows):
    survey = {"seeker": {"empathy": "9", "relevance": "2"}, "supporter": {}}
    record = a_record(layout="published", survey_score=survey, ratings={2: "9", 6: 5})
    counts = bring("esconv", write("ESConv.json", [record]))
    assert counts["tables"]["dialogues"]["kept"] == 1
    assert counts["tables"]["feedback"] == {
        "read": 4,
        "kept": 2,
        "duplicate": 0,
        "quarantined": 2,
    }
    assert {(row["position"], row["field"]) for row in rows("quarantine")} == {
        ("ESConv.json dialogue 1", "survey_score.seeker.empathy"),
        ("ESConv.json dialogue 1", "dialog[2].annotation.feedback"),
    }


def test_ratings_of_a_refused_dialogue_are_refused_too(bring, write, a_record, rated_lines):
    write("esconv.jsonl", [a_record(0), a_record(1, situation=None)])
    counts = bring("esconv", write("turn_feedback.csv", rated_lines(0, 1)).parent)
    assert counts["reasons"] == {
        "situation: is missing": 1,
        "dialog_id: names no dialogue that was read": 2,
    }


def test_two_dialogues_of_one_name_are_one_too_many(bring, write, a_record):
    path = write("esconv.jsonl", [a_record(0), a_record(0), a_record(1, dialog_id="valid-0000")])
    counts = bring("esconv", path)
    assert counts["tables"]["dialogues"] == {
        "read": 3,
        "kept": 1,
        "duplicate": 1,
        "quarantined": 1,
    }
    assert counts["reasons"] == {"dialog_id: names another dialogue above": 1}


def test_an_empty_file_is_one_row_in_quarantine(bring, write, rows):
    counts = bring("esconv", write("esconv.jsonl", b""))
    assert counts["tables"]["dialogues"]["read"] == counts["quarantined"] == 1
    assert rows("quarantine")[0]["reason"] == "the file is empty"


def test_a_path_nothing_can_be_read_from_is_the_operators_fault(bring, tmp_path, lake):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(ConfigError, match=path.name):
            bring("esconv", path)
    assert lake.tables() == ()


def test_no_raw_name_address_or_crisis_reaches_the_lake(bring, write, a_record, lake):
    record = a_record(0, dialog_id="bob-the-seeker")
    record["dialog"][0]["text"] = "Write to bob@example.org or +44 20 7946 0958."
    record["dialog"][2]["text"] = "I am going to kill myself."
    broken = json.dumps(a_record(1, situation="carol@example.org"))[:-3]
    bring("esconv", write("esconv.jsonl", json.dumps(record) + "\n" + broken + "\n"))
    stored = "".join(str(lake.sql(f"select * from {name}").to_pylist()) for name in lake.tables())
    assert CRISIS_TEXT in stored
    for secret in ("bob", "7946", "kill myself", "carol"):
        assert secret not in stored


@pytest.mark.skipif(not DATA.exists(), reason="the ESConv data folder is not beside the checkout")
def test_the_whole_of_esconv_is_accounted_for(bring, rows):
    counts = bring("esconv", DATA)
    told = counts["dialogues"]
    assert (told["dialogues"], told["failed_dialogues"]) == (1040, 158)
    assert (told["turn_ratings"], told["failed_turn_ratings"]) == (1876, 776)
    assert told["mixed_runs"] == 543
    assert counts["turns"] == 30_308 + 4_013
    # Two dialogues carry a supporter's score of 0.
    assert counts["reasons"] == {
        "survey_score.supporter.relevance: is not a whole number from 1 to 5": 2
    }
    assert counts["behaviour"]["log_loss"] < counts["behaviour"]["log_loss_of_frequencies"] - 0.15
    for decision in rows("decisions"):
        probabilities = [candidate["probability"] for candidate in decision["candidates"]]
        assert abs(sum(probabilities) - 1) < 1e-9
        assert min(probabilities) >= 0.009999
        assert decision["propensity"] == probabilities[decision["action_index"]]
