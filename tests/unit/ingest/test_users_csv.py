import pytest

from tests.unit.ingest.exports import a_user_row, as_csv


@pytest.fixture
def users(write, bring):
    """Ingest rows as one CSV file."""
    return lambda *rows: bring("users-csv", write("users.csv", as_csv(rows)))


def latest(rows):
    return max(rows("users"), key=lambda row: row["ts"])


def test_columns_become_attributes_and_preferences(users, rows):
    users(a_user_row(1, attributes='{"plan": "gold"}'))
    (profile,) = rows("users")
    assert dict(profile["attributes"]) == {
        "age_band": "25-34", "jurisdiction": "DE", "team": "team 1", "plan": "gold",
    }  # fmt: skip
    assert dict(profile["preferences"]) == {"tone": "plain"}
    assert profile["set_by"] == "tenant"
    assert "user-1" not in repr(profile)


def test_a_profile_that_changed_is_a_new_row_and_the_latest_counts(users, rows):
    users(a_user_row(1))
    users(a_user_row(1, jurisdiction="AT"))
    users(a_user_row(1, jurisdiction="AT"))
    assert len(rows("users")) == 2
    assert dict(latest(rows)["attributes"])["jurisdiction"] == "AT"


def test_of_two_profiles_in_one_file_the_later_counts(users, rows):
    users(a_user_row(1), a_user_row(1, jurisdiction="AT"))
    assert len(rows("users")) == 2
    assert dict(latest(rows)["attributes"])["jurisdiction"] == "AT"


def test_a_time_that_is_given_is_kept(users, rows):
    users(a_user_row(1, timestamp="2024-02-01"))
    assert latest(rows)["ts"].year == 2024


def test_addresses_in_a_profile_are_redacted(users, rows):
    users(a_user_row(1, **{"attributes.contact": "ann@example.org"}))
    assert "example.org" not in repr(rows("users"))


def test_a_profile_of_nobody_is_refused(users, rows):
    counts = users(a_user_row(1), a_user_row(2, user_id=""), a_user_row(3, set_by="me"))
    assert counts["reasons"] == {
        "user_id: is missing": 1, "set_by: is none of user, tenant, inferred": 1,
    }  # fmt: skip
    assert {row["position"] for row in rows("quarantine")} == {
        "users.csv line 3", "users.csv line 4",
    }  # fmt: skip
