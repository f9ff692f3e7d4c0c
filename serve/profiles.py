"""What a user's profile says, and how it fills in what a request left out."""

from collections.abc import Mapping
from typing import Any

from rapport.errors import ServingError
from rapport.governance.redaction import redact
from rapport.schema import PURPOSES

from .records import now
from .wire import ProfileRequest, UserFields

_OWN = ("age_band", "jurisdiction", "purposes")
"""Names that stand in a profile's attributes for what a request calls by a field of its own."""


def profile_row(tenant: str, user_id: str, asked: ProfileRequest) -> dict[str, Any]:
    """Build the row of the users table; values are redacted like any text.

    Raises:
        ServingError: An unknown purpose, or an attribute by a name that is a field of its own.
    """
    known_purposes(asked.purposes, param="purposes")
    for name in _OWN:
        if name in asked.attributes:
            raise ServingError(f"attributes: {name} is a field of its own", "attributes")
    own = {"age_band": asked.age_band, "jurisdiction": asked.jurisdiction}
    attributes = {name: value for name, value in own.items() if value is not None}
    if asked.purposes is not None:
        attributes["purposes"] = ",".join(p for p in PURPOSES if p in asked.purposes)
    return {
        "tenant": tenant,
        "user_id": user_id,
        "attributes": attributes | {k: redact(v) for k, v in asked.attributes.items()},
        "preferences": {k: redact(v) for k, v in asked.preferences.items()},
        "set_by": "user",
        "ts": now(),
    }


def profile_body(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Shape a profile as `PUT /v1/users/{id}` takes it; of an unknown user all is open."""
    attributes = dict(row["attributes"]) if row else {}
    purposes = attributes.pop("purposes", None)
    return {
        "age_band": attributes.pop("age_band", None),
        "jurisdiction": attributes.pop("jurisdiction", None),
        "purposes": None if purposes is None else [p for p in purposes.split(",") if p],
        "attributes": attributes,
        "preferences": dict(row["preferences"]) if row else {},
    }


def filled(who: UserFields, row: Mapping[str, Any] | None) -> UserFields:
    """Take from a profile what a request does not say of its user."""
    if row is None:
        return who
    known = profile_body(row)
    missing = {
        name: known[name] for name in _OWN if getattr(who, name) is None and known[name] is not None
    }
    return who.model_copy(update=missing)


def known_purposes(purposes: list[str] | None, *, param: str) -> None:
    """Refuse purposes nobody can agree to.

    Raises:
        ServingError: One is not of `rapport.schema.PURPOSES`.
    """
    if set(purposes or ()) - set(PURPOSES):
        raise ServingError(f"{param}: known purposes are {', '.join(PURPOSES)}", param)
