import datetime as dt

import pytest

from rapport.errors import ConfigError
from rapport.governance.contact import Person, refusal, same_day
from rapport.governance.tenants import QuietHours, TenantPolicy, load_tenants

NIGHT = QuietHours(start=dt.time(21, 30), end=dt.time(8))
POLICY = TenantPolicy(quiet_hours=NIGHT, default_age_band="adult")
ANN = Person(age_band="25-34", purposes=("serve", "proactive"), time_zone="Europe/Berlin")
NOON = dt.datetime(2026, 7, 1, 10, tzinfo=dt.UTC)


def test_a_grown_person_who_agreed_may_be_written_to_by_day():
    assert refusal(POLICY, ANN, NOON) is None


@pytest.mark.parametrize(
    ("who", "at", "why"),
    [
        ({}, NOON.replace(hour=20), "quiet hours"),  # 22:00 in Berlin
        ({}, NOON.replace(hour=5, minute=59), "quiet hours"),
        ({}, NOON.replace(month=1, hour=6, minute=59), "quiet hours"),  # winter: an hour later
        ({"time_zone": "Pacific/Auckland"}, NOON, "quiet hours"),
        ({"time_zone": None}, NOON, "time zone unknown"),
        ({"time_zone": "Mars/Base"}, NOON, "time zone unknown"),
        ({"purposes": ("serve", "train")}, NOON, "no consent"),
        ({"purposes": ()}, NOON, "no consent"),
        ({"purposes": None}, NOON, "no consent"),
        ({"age_band": "minor"}, NOON, "protected"),
        ({"age_band": "16-17"}, NOON, "protected"),
    ],
)
def test_nobody_is_written_to_at_night_without_consent_or_as_a_minor(who, at, why):
    assert refusal(POLICY, Person(**{**vars(ANN), **who}), at) == why


def test_the_tenants_zone_stands_in_and_without_quiet_hours_none_is_needed():
    nowhere = Person(ANN.age_band, ANN.purposes)
    assert refusal(POLICY.model_copy(update={"time_zone": "Asia/Tokyo"}), nowhere, NOON) is None
    assert refusal(POLICY.model_copy(update={"quiet_hours": None}), nowhere, NOON) is None


def test_once_a_day_is_enough_and_the_day_is_the_users():
    before = NOON - dt.timedelta(hours=1)
    assert refusal(POLICY, ANN, NOON, contacts=(before,)) == "often enough today"
    yesterday = dt.datetime(2026, 6, 30, 21, 59, tzinfo=dt.UTC)  # 23:59 in Berlin
    assert refusal(POLICY, ANN, NOON, contacts=(yesterday,)) is None
    assert not same_day(POLICY, ANN, yesterday, yesterday + dt.timedelta(minutes=2))


def test_a_profile_speaks_before_the_rows():
    told = {"age_band": "minor", "purposes": "serve, proactive, ads", "time_zone": "Asia/Tokyo"}
    person = Person.of(told, purposes=("serve",), age_band="adult")
    assert person == Person("minor", ("serve", "proactive"), "Asia/Tokyo")
    assert Person.of(None, purposes=("serve",), age_band="adult") == Person("adult", ("serve",))
    assert Person.of({"purposes": ""}, purposes=("proactive",), age_band="adult").purposes == ()


def test_a_zone_there_is_none_of_is_refused_by_its_name(tmp_path):
    (tmp_path / "tenants.yaml").write_text("acme: {time_zone: Mars/Base}\n")
    with pytest.raises(ConfigError, match=r"acme\.time_zone.*Europe/Berlin"):
        load_tenants(tmp_path / "tenants.yaml")
