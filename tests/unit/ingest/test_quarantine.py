from rapport.errors import RowError
from rapport.ingest.counts import reasons_of
from rapport.ingest.quarantine import ROW_CHARACTERS, Reject, quarantine_rows
from rapport.schema import CRISIS_TEXT


def kept(row):
    error = RowError("field", "is wrong")
    reject = Reject.of(error, table="turns", position="a.jsonl line 1", row=row)
    return quarantine_rows([reject], tenant="default", source="esconv").to_pylist()[0]


def test_a_row_says_where_it_stood_and_why_it_was_refused():
    row = kept("{}")
    assert (row["position"], row["field"], row["reason"]) == ("a.jsonl line 1", "field", "is wrong")
    assert (row["tenant"], row["source"], row["row"]) == ("default", "esconv", "{}")


def test_a_row_is_cut_after_it_was_redacted():
    address = "someone.with.a.long.name@example.org"
    row = "x" * (ROW_CHARACTERS - 10) + " " + address + "y" * 100_000
    assert "someone" not in kept(row)["row"]
    assert len(kept(row)["row"]) == ROW_CHARACTERS


def test_nothing_of_a_crisis_stays_in_a_refused_row():
    assert kept('{"text": "I am going to kill myself tonight"')["row"] == CRISIS_TEXT


def test_what_cannot_be_stored_as_text_is_replaced():
    assert kept("a\udcffb\ud83d")["row"] == "a?b?"


def test_a_fault_of_the_whole_row_has_no_field():
    error = RowError("", "is not JSON")
    assert Reject.of(error, table="dialogues", position="a line 1", row="").field is None


def test_reasons_are_counted_by_field_without_the_place_inside_it():
    fields = ["dialog[3].strategy", "dialog[12].strategy", "value", ""]
    rejects = [
        Reject.of(RowError(field, "is missing"), table="t", position="p", row="")
        for field in fields
    ]
    assert reasons_of(rejects) == {
        "dialog[].strategy: is missing": 2,
        "value: is missing": 1,
        "is missing": 1,
    }
