"""Canaries: a release that answers a part of the users, beside the one that answers the others.

    releases/CANARY     what is tried, on what share of the users, and by which rules

Whom it answers is decided by a hash of the release and the user's keyed id: sticky, another part of
the users for each release, and independent of the control group, which stays out of it. With share
0 it answers nobody: a shadow, whose choices are computed and logged beside those that are served.
Serving reads the file as it reads CURRENT. A canary whose opponent serves no more is over.
"""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rapport.errors import BrokenReleaseError
from rapport.release import current
from rapport.scratch import replace_text

CANARY = "CANARY"
SHADOW = "shadow:"
"""Before a release's id: the feature of a candidate that holds that release's probability."""


class Rules(BaseModel):
    """By which rules a release is tried, set before anybody is dealt it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    share: float = Field(default=0.1, ge=0.0, le=0.5)
    """Of the users that may be tried on; 0 for a shadow."""
    days: float = Field(default=28.0, gt=0)
    """After these it ends without a result, and the old release stays."""
    window_h: float = Field(default=24.0, gt=0)
    """Hours from a user's first decision in which his decisions count."""
    wait_h: float = Field(default=48.0, ge=0)
    """Hours after that in which rewards count; `compute_rewards` must run more often."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of a false rollback, and of a false promotion, over all looks together."""
    margin: float = Field(default=0.02, ge=0)
    """Reward units that a group may seem to lose."""


class Canary(Rules):
    """What is tried."""

    release: str
    """Id of the release that is tried."""
    against: str
    """Id of the one that serves the others."""
    since: datetime

    @property
    def until(self) -> datetime:
        """When it ends without a result."""
        return self.since + timedelta(days=self.days)

    @property
    def settles(self) -> timedelta:
        """From a user's first decision to when what he is worth is settled."""
        return timedelta(hours=self.window_h + self.wait_h)

    def takes(self, user_id: str) -> bool:
        """Whether it answers a user, were he one to be tried on.

        Args:
            user_id: Keyed hash.
        """
        text = f"{self.release}:{user_id}".encode()
        digest = hashlib.blake2b(text, digest_size=8, person=b"canary").digest()
        return int.from_bytes(digest, "big") / 2**64 < self.share


def stated(releases: Path) -> Canary | None:
    """What CANARY says, none where there is no such file.

    Raises:
        BrokenReleaseError: It cannot be read.
    """
    try:
        return Canary.model_validate_json((releases / CANARY).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = f"CANARY cannot be read ({error.errors()[0]['msg']}): end it with --stop"
        raise BrokenReleaseError("?", CANARY, reason) from None


def running(releases: Path) -> Canary | None:
    """The canary under way: none where there is none, or its opponent serves no more.

    Raises:
        BrokenReleaseError: CANARY or CURRENT cannot be read.
    """
    found, serving = stated(releases), current(releases)
    return found if found and serving and serving.name == found.against else None


def begin(releases: Path, canary: Canary) -> None:
    """Let it run; gateways take it up at their next look."""
    replace_text(releases / CANARY, canary.model_dump_json(indent=1) + "\n")


def end(releases: Path) -> None:
    """Let it run no more; nothing happens where none does."""
    (releases / CANARY).unlink(missing_ok=True)
