import datetime as dt
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import RowError
from rapport.ingest.fields import identifier, moment, numbers, one_of, real, strings, text, whole

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01 12:00:00",
        1_772_366_400,
        1_772_366_400.0,
        "1772366400",
        1_772_366_400_000,
        1_772_366_400_000_000,
        1_772_366_400_000_000_000,
        NOON,
        NOON.replace(tzinfo=None),
    ],
    ids=repr,
)
def test_a_time_is_read_however_logs_write_it(written):
    assert moment({"at": written}, "at") == NOON


@pytest.mark.parametrize("written", ["yesterday", "2026-13-01", True, [1], {"a": 1}, "12:00"])
def test_what_is_no_time_is_refused(written):
    with pytest.raises(RowError, match="'at': is no time that can be read"):
        moment({"at": written}, "at")


def test_a_time_of_another_era_is_refused():
    with pytest.raises(RowError, match="era"):
        moment({"at": -5}, "at")


@given(st.one_of(st.none(), st.text(max_size=3), st.integers(), st.floats(), st.lists(st.none())))
def test_whatever_stands_in_a_field_it_is_read_or_refused(value):
    for read in (text, identifier, real, whole, moment, strings, numbers):
        with suppress(RowError):
            read({"field": value}, "field")


def test_missing_and_empty_are_the_same():
    for read in (text, identifier, real, whole, moment):
        assert read({}, "x") is None
        assert read({"x": " "}, "x") is None


def test_an_id_may_be_a_number():
    assert identifier({"x": 7}, "x") == identifier({"x": 7.0}, "x") == "7"
    with pytest.raises(RowError, match="neither text nor a whole number"):
        identifier({"x": True}, "x")


def test_yes_and_no_are_numbers():
    assert [real({"x": word}, "x") for word in ("true", "No", "up", True, "0.5")] == [
        1,
        0,
        1,
        1,
        0.5,
    ]


@pytest.mark.parametrize("value", [-1, 1.5, 2**31, "x", float("nan")])
def test_a_place_is_a_whole_number_from_0_on(value):
    with pytest.raises(RowError):
        whole({"x": value}, "x")


def test_a_mapping_may_be_an_object_a_list_of_pairs_or_json():
    for value in ({"a": 1, "b": None}, [("a", 1)], '{"a": 1}'):
        assert strings({"x": value}, "x") == {"a": "1"}
    with pytest.raises(RowError, match="is not JSON"):
        strings({"x": "{"}, "x")
    with pytest.raises(RowError, match="is not a number"):
        numbers({"x": {"a": "b"}}, "x")


def test_one_of_a_few_names_them():
    with pytest.raises(RowError, match="is none of a, b"):
        one_of("c", ("a", "b"), name="x")
