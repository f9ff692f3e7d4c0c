import pytest

from rapport.errors import ConfigError
from tests.unit.ingest.exports import a_turn_row, as_csv, as_parquet


@pytest.fixture
def turns(write, bring):
    """Ingest rows as one CSV file."""
    return lambda *rows, **options: bring("turns-csv", write("log.csv", as_csv(rows)), **options)


def in_order(rows):
    return sorted(rows("turns"), key=lambda row: (row["conversation_id"], row["turn_index"]))


def test_turns_are_numbered_by_time_and_go_on_where_the_lake_stops(turns, rows):
    turns(a_turn_row(1), a_turn_row(0))
    turns(a_turn_row(2), a_turn_row(1), a_turn_row(3))
    told = in_order(rows)
    assert [turn["turn_index"] for turn in told] == [0, 1, 2, 3]
    assert [turn["text"][5] for turn in told] == ["0", "1", "2", "3"]


def test_what_one_row_says_of_a_conversation_holds_for_all_of_it(turns, rows):
    turns(a_turn_row(0, age_band="25-34"), a_turn_row(1, user_id=None, age_band=None))
    told = rows("turns")
    assert len({turn["user_id"] for turn in told}) == 1
    assert {dict(turn["groups"])["age_band"] for turn in told} == {"25-34"}


def test_a_reply_to_a_child_is_a_childs_also_in_a_later_file(turns, lake):
    turns(a_turn_row(0, age_band="minor"))
    turns(a_turn_row(1))
    assert lake.scan("turns", purpose="train").collect().is_empty()
    assert lake.scan("turns", purpose="serve").collect()["user_id"].n_unique() == 1


def test_feedback_of_a_row_stands_at_its_turn(turns, rows):
    counts = turns(a_turn_row(0), a_turn_row(1, rating=4, comment="thanks", thumbs="up"))
    told = {row["metric_name"]: (row["value"], row["text"]) for row in rows("feedback")}
    assert told == {"rating": (4.0, None), "comment": (None, "thanks"), "thumbs": (1.0, None)}
    assert counts["tables"]["feedback"]["kept"] == 3


def test_rows_that_cannot_be_are_refused_each_for_its_reason(turns, rows):
    counts = turns(
        a_turn_row(0),
        a_turn_row(1, conversation_id=""),
        a_turn_row(2, role="boss"),
        a_turn_row(3, text=""),
        a_turn_row(4, timestamp="soon"),
        a_turn_row(5, arm="shouting"),
        a_turn_row(6, agent_id="pirate"),
        a_turn_row(7, rating=7),
    )
    assert {reason.partition(":")[0] for reason in counts["reasons"]} == {
        "conversation_id", "role", "text", "timestamp", "arm", "agent_id", "rating",
    }  # fmt: skip
    assert counts["tables"]["turns"]["kept"] == 2
    positions = sorted(row["position"] for row in rows("quarantine"))
    assert all(position.startswith("log.csv line ") for position in positions)


def test_events_of_other_kinds_need_no_text(turns, rows):
    turns(a_turn_row(0, kind="click", text=None), a_turn_row(1, kind="message"))
    assert {turn["kind"] for turn in rows("turns")} == {"click", "message"}


def test_foreign_columns_are_mapped_and_columns_not_there_named(write, bring, rows):
    row = {"dialog": "x", "who": "customer", "said": "My order is late.", "when": 1_772_366_400}
    path = write("log.csv", as_csv([row]))
    mapping = write(
        "map.yaml",
        "conversation_id: dialog\nrole: who\ntext: said\ntimestamp: when\n"
        "agent_id: {value: customer_support}\nroles: {user: customer, assistant: clerk}\n",
    )
    bring("turns-csv", path, mapping=mapping)
    (turn,) = rows("turns")
    assert (turn["role"], turn["agent_id"], turn["ts"].year) == ("user", "customer_support", 2026)
    with pytest.raises(ConfigError, match=r"column is 'conversation_id': .*map yours"):
        bring("turns-csv", path)
    wrong = write("wrong.yaml", "conversation_id: dialogue\nrole: who\ntext: said\n")
    with pytest.raises(ConfigError, match=r"--mapping conversation_id is 'dialogue'"):
        bring("turns-csv", path, mapping=wrong)


def test_parquet_brings_times_lists_and_maps_of_its_own(write, bring, rows):
    row = a_turn_row(0, purposes=["train", "serve"], features={"length": 3.0}, rating=None)
    bring("turns-parquet", write("log.parquet", as_parquet([row])))
    (turn,) = rows("turns")
    assert turn["purposes"] == ["serve", "train"]
    assert dict(turn["features"]) == {"length": 3.0}
