"""Whether a person may be written to unasked: his age, his consent, his night, how often."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rapport.governance.tenants import TenantPolicy
from rapport.schema import PURPOSES

TIME_ZONE = "time_zone"
"""Attribute of a profile that names the user's zone, such as `Europe/Berlin`."""


@dataclass(frozen=True)
class Person:
    """What is known of somebody when he is to be written to."""

    age_band: str | None = None
    """As declared."""
    purposes: tuple[str, ...] | None = None
    """What he agreed to; none where nothing was said."""
    time_zone: str | None = None
    """IANA name; none takes the tenant's."""

    @classmethod
    def of(
        cls, attributes: Mapping[str, str] | None, *, purposes: Sequence[str], age_band: str | None
    ) -> "Person":
        """Who somebody is by his profile, else as the rows about him say.

        Args:
            attributes: Of his profile; none where there is no profile.
            purposes: Those of the rows, where the profile states none.
            age_band: The same.
        """
        told = attributes or {}
        stated = told.get("purposes")
        said = purposes if stated is None else [one.strip() for one in stated.split(",")]
        given = tuple(one for one in PURPOSES if one in said)
        return cls(told.get("age_band", age_band), given, told.get(TIME_ZONE))


def refusal(
    policy: TenantPolicy, person: Person, at: dt.datetime, *, contacts: tuple[dt.datetime, ...] = ()
) -> str | None:
    """Why a person may not be written to unasked, none where he may.

    Where quiet hours are set and nobody knows what time it is for him, he may not.

    Args:
        policy: The tenant's.
        person: Whom.
        at: When, with a time zone.
        contacts: When he was written to unasked before; those of his day count.
    """
    if policy.is_protected(person.age_band):
        return "protected"
    if "proactive" not in policy.purposes_for(person.purposes, age_band=person.age_band):
        return "no consent"
    zone = zone_of(person.time_zone or policy.time_zone)
    if zone is None and policy.quiet_hours is not None:
        return "time zone unknown"
    local = at.astimezone(zone or dt.UTC)
    if policy.quiet_hours is not None and policy.quiet_hours.contain(local.time()):
        return "quiet hours"
    today = [one for one in contacts if same_day(policy, person, one, at)]
    return "often enough today" if len(today) >= policy.contacts_per_day else None


def same_day(policy: TenantPolicy, person: Person, *moments: dt.datetime) -> bool:
    """Whether some moments are on one day of a person's."""
    zone = zone_of(person.time_zone or policy.time_zone) or dt.UTC
    return len({one.astimezone(zone).date() for one in moments}) == 1


@cache
def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of a name; none where there is no such zone."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
