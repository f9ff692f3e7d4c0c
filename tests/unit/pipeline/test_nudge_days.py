"""A thousand days of people anywhere, who change their minds: nobody is disturbed who must not be.

The rules are written here once more, by hand, from what the tenant's file promises.
"""

import datetime as dt
from collections import Counter, defaultdict
from zoneinfo import ZoneInfo

import numpy as np

from rapport.governance.contact import Person
from rapport.governance.tenants import QuietHours, TenantPolicy
from rapport.pipeline.nudging import Desk, proposed
from rapport.policy.nudge_rows import Nudge, nudge_in
from rapport.policy.nudging import fit_nudges
from tests.statistics.report import say

DAYS = 1000
PEOPLE = 24
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ZONES = (
    "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "America/St_Johns",
    "Pacific/Kiritimati", "Australia/Lord_Howe", None, "Nowhere/Land",
)  # fmt: skip
BANDS = ("adult", "25-34", "senior", "18+", "minor", "13-17", "unknown", None)
AGREED = (
    ("serve", "proactive"), ("serve", "train", "experiment", "proactive"), ("serve",), (), None,
)  # fmt: skip
GROWN = {"adult", "25-34", "senior", "18+"}
POLICY = TenantPolicy(
    quiet_hours=QuietHours(start=dt.time(21, 30), end=dt.time(8)),
    explore="adults",
    contacts_per_day=2,
)


def anybody(rng):
    def one(choices):
        return choices[rng.integers(len(choices))]

    return Person(one(BANDS), one(AGREED), one(ZONES))


def may_be_told(person, at, told_before):
    """The promise, by hand: whether it was kept towards a person at a moment."""
    if person.age_band not in GROWN or "proactive" not in (person.purposes or ()):
        return False
    if person.time_zone in (None, "Nowhere/Land"):
        return False
    local = at.astimezone(ZoneInfo(person.time_zone))
    minutes = 60 * local.hour + local.minute
    same = [one for one in told_before if one.astimezone(local.tzinfo).date() == local.date()]
    return 8 * 60 <= minutes < 21 * 60 + 30 and len(same) < 2


def tasks_at(at, rng):
    for number in range(PEOPLE):
        for place in range(1 + number % 3):
            yield {
                "tenant": "default", "user_id": f"u{number}", "task_id": f"t{place}",
                "agent_id": "customer_support", "journey_id": None, "purposes": ["serve"],
                "groups": {}, "due": at + dt.timedelta(hours=30), "urgency": float(rng.random()),
                "begun": float(rng.integers(2)),
            }  # fmt: skip


def test_nothing_outside_quiet_hours_consent_and_age_limits_in_a_thousand_days():
    rng = np.random.default_rng(3)
    people = {f"u{n}": anybody(rng) for n in range(PEOPLE)}
    past: dict[str, list[Nudge]] = defaultdict(list)
    told: dict[str, list[dt.datetime]] = defaultdict(list)
    counts, zones = Counter[str](), set()
    at, policy = START, fit_nudges()
    while at < START + dt.timedelta(days=DAYS):
        if rng.random() < 0.05:  # somebody moves, grows up, withdraws or agrees
            people[f"u{rng.integers(PEOPLE)}"] = anybody(rng)
        desk = Desk(POLICY, policy, people, past, again=dt.timedelta(hours=12))
        for row in proposed(tasks_at(at, rng), desk, now=at, seed=1):
            user, nudge = row["user_id"], nudge_in(row)
            assert nudge is not None
            assert (
                sum(one["probability"] for one in row["candidates"]) == 1.0
                or abs(sum(one["probability"] for one in row["candidates"]) - 1) < 1e-12
            )
            assert row["propensity"] > 0
            counts[nudge.kind] += 1
            if nudge.speaks:
                assert may_be_told(people[user], at, told[user]), (people[user], at)
                told[user] = [*told[user][-3:], at]
                zones.add(people[user].time_zone)
            past[user] = [*past[user][-9:], nudge]
        counts.update(desk.refused)
        at += dt.timedelta(minutes=int(rng.integers(180, 540)))
    say(f"nudges in {DAYS} days of {PEOPLE} people: {dict(counts.most_common())}")
    assert zones == {zone for zone in ZONES if zone and "/Land" not in zone}
    assert {"not_now", "suggestion", "resource", "reminder"} <= set(counts)
    assert {
        "protected", "no consent", "quiet hours", "time zone unknown", "often enough today",
    } <= set(counts)  # fmt: skip
    assert sum(counts[kind] for kind in ("suggestion", "resource", "reminder")) > 1000
