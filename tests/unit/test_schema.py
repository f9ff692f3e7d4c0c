import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import RowError, UnknownNameError
from rapport.schema import EVENT_TABLES, SCHEMAS, content_id, new_id, schema_of, to_table


def a_user(**changes):
    row = {
        "tenant": "t", "user_id": "u", "attributes": {"a": "b"}, "preferences": {},
        "set_by": "user", "ts": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return row | changes


def test_rows_become_an_arrow_table_of_the_schema():
    table = to_table("users", [a_user()])
    assert table.schema == schema_of("users")
    assert table.to_pylist()[0]["attributes"] == [("a", "b")]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (a_user(tenant=None), "users.tenant"),
        (a_user(ts="yesterday"), "users.ts"),
        (a_user(colour="red"), "users.colour"),
    ],
)
def test_a_bad_row_is_refused_naming_its_field(row, field):
    with pytest.raises(RowError) as caught:
        to_table("users", [row])
    assert caught.value.field == field


def test_an_unknown_table_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="decisions"):
        schema_of("decision")


def test_every_event_table_carries_purposes_and_a_keyed_user():
    assert set(EVENT_TABLES) == {"turns", "decisions", "feedback", "rewards"}
    assert all("user_id" in SCHEMAS[name].names for name in EVENT_TABLES)


def test_fresh_ids_are_version_seven_and_ordered_by_time():
    ids = [new_id() for _ in range(3)]
    assert {uuid.UUID(i).version for i in ids} == {7}
    assert [i[:13] for i in ids] == sorted(i[:13] for i in ids)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_content_ids_are_version_eight_and_depend_on_content_only(parts):
    first = content_id(*parts)
    assert first == content_id(*parts)
    assert uuid.UUID(first).version == 8
    assert first != content_id(*parts, "more")
