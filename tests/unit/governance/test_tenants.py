import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import ConfigError
from rapport.governance.tenants import (
    EMBEDDED,
    QuietHours,
    affect_allowed,
    load_tenants,
    policy_of,
)
from rapport.schema import PURPOSES

ACME = """
acme:
  default_age_band: 18-24
  default_purposes: [analytics, serve]
  quiet_hours: {start: "21:30", end: "08:00"}
  explore: adults
  on_store_failure: pass_through
"""


def test_without_a_file_there_is_the_embedded_tenant(tmp_path):
    tenants = load_tenants(tmp_path / "tenants.yaml")
    assert dict(tenants) == {"default": EMBEDDED}
    assert EMBEDDED.purposes_for(None) == tuple(p for p in PURPOSES if p != "proactive")
    assert EMBEDDED.may_explore(None)
    assert EMBEDDED.on_store_failure == "refuse"


def test_a_file_adds_tenants_beside_the_embedded_one(tmp_path):
    (tmp_path / "tenants.yaml").write_text(ACME)
    tenants = load_tenants(tmp_path / "tenants.yaml")
    assert set(tenants) == {"default", "acme"}
    acme = tenants["acme"]
    assert acme.purposes_for(None) == ("serve", "analytics")
    assert acme.may_explore(None)
    assert acme.on_store_failure == "pass_through"


def test_a_tenant_without_a_policy_protects_whoever_it_does_not_know(tmp_path):
    policy = policy_of(load_tenants(tmp_path / "none.yaml"), "stranger")
    assert policy.is_protected(None)
    assert not policy.may_explore(None)
    assert policy.purposes_for(["serve", "memory", "train"]) == ("serve",)
    assert policy.purposes_for(["train", "serve"], age_band="adult") == ("serve", "train")
    assert not policy.may_explore("adult")


@pytest.mark.parametrize(
    "band", ["minor", "13-17", "unknown", "child", "0-17", "", "17+", "seventeen"]
)
def test_minors_and_unknown_ages_are_protected_under_every_policy(band):
    band = band or "unknown"
    assert EMBEDDED.is_protected(band)
    assert not EMBEDDED.may_explore(band)
    assert EMBEDDED.purposes_for(None, age_band=band) == ("serve",)


@pytest.mark.parametrize("band", ["adult", "Adult ", "18-24", "65+", "25 - 34", "senior", "18"])
def test_adults_are_not(band):
    assert not EMBEDDED.is_protected(band)


@given(st.sets(st.sampled_from(PURPOSES)), st.sampled_from(["adult", "minor", None]))
def test_purposes_are_never_more_than_was_declared(declared, band):
    allowed = EMBEDDED.purposes_for(declared, age_band=band)
    assert set(allowed) <= declared
    assert list(allowed) == [purpose for purpose in PURPOSES if purpose in allowed]


def test_refusing_all_purposes_is_not_the_same_as_saying_nothing():
    assert EMBEDDED.purposes_for([]) == ()
    assert EMBEDDED.purposes_for(None)


def test_affect_is_read_for_no_purpose_but_the_agreed_ones():
    assert all(affect_allowed(purpose) for purpose in PURPOSES)
    assert not any(map(affect_allowed, ("marketing", "pricing", "ads", "", "resale")))


@pytest.mark.parametrize(
    ("local", "quiet"),
    [("21:29", False), ("21:30", True), ("00:00", True), ("07:59", True), ("08:00", False)],
)
def test_quiet_hours_reach_over_midnight(local, quiet):
    hours = QuietHours(start=dt.time(21, 30), end=dt.time(8))
    assert hours.contain(dt.time.fromisoformat(local)) == quiet


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("acme: {explore: everybody}", "acme.explore"),
        ("acme: {default_purposes: [marketing]}", "acme.default_purposes"),
        ("acme: {colour: red}", "acme.colour"),
        ("acme: {quiet_hours: {start: noon, end: '08:00'}}", "acme.quiet_hours.start"),
        ("- acme", "tenants file"),
        ("acme: [", "tenants file"),
    ],
)
def test_a_wrong_setting_is_named_with_its_tenant(tmp_path, text, named):
    (tmp_path / "tenants.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_tenants(tmp_path / "tenants.yaml")
    assert refused.value.setting == named


def test_an_unknown_purpose_in_a_request_is_refused():
    with pytest.raises(ConfigError, match="marketing"):
        EMBEDDED.purposes_for(["serve", "marketing"])


@pytest.mark.parametrize("days", [0, -1, "soon"])
def test_texts_are_kept_for_a_day_at_least(tmp_path, days):
    path = tmp_path / "tenants.yaml"
    path.write_text(f"acme: {{retention_days: {days}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"acme\.retention_days"):
        load_tenants(path)


def test_texts_are_kept_for_as_long_as_the_tenant_says_and_forever_if_it_says_nothing(tmp_path):
    path = tmp_path / "tenants.yaml"
    path.write_text("acme: {retention_days: 30}\n", encoding="utf-8")
    policies = load_tenants(path)
    assert policies["acme"].retention_days == 30
    assert policies["default"].retention_days is None
