"""What a tenant's policy allows: whose words may be kept, learned from, explored on, and when.

`<home>/tenants.yaml` maps tenant names to policies:

    acme:
      default_age_band: adult
      default_purposes: [serve, memory, analytics]
      quiet_hours: {start: "21:30", end: "08:00"}
      time_zone: Europe/Berlin
      contacts_per_day: 1
      explore: adults
      on_store_failure: pass_through
      rates: {per_s: 50, burst: 100, at_once: 32}
      retention_days: 365
      reward_wait_s: 3600
      default_reward: -0.1

A tenant that is not in it gets `TenantPolicy()`: age unknown, therefore protected.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import Field, ValidationError, field_validator

from rapport.config import Config
from rapport.errors import ConfigError
from rapport.governance.feedback import FIXED, SHIPPED, Metric
from rapport.schema import PURPOSES

EMBEDDED_TENANT = "default"
UNKNOWN = "unknown"
"""The age band of a person nobody has told us about."""
PROTECTED_PURPOSES = ("serve",)
"""All that a protected person's words may be used for, whatever was declared."""

_METRIC_NAME = re.compile(r"[a-z0-9_.-]{1,64}")
_ADULT = re.compile(r"adult|senior|(?:1[89]|[2-9]\d|1[01]\d)(?:\+|\s*-\s*\d{2,3})?")


def _ordered(purposes: Iterable[str]) -> tuple[str, ...]:
    given = set(purposes)
    unknown = given - set(PURPOSES)
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not a purpose; known: {', '.join(PURPOSES)}")
    return tuple(purpose for purpose in PURPOSES if purpose in given)


class QuietHours(Config):
    """Hours in which nobody is contacted unasked, in the user's local time."""

    start: dt.time
    end: dt.time
    """First minute that is not quiet; before `start` it means the next morning."""

    def contain(self, local: dt.time) -> bool:
        """Whether a local time of day is quiet."""
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class Rates(Config):
    """How hard each key of a tenant may press one replica of the gateway."""

    per_s: float = Field(default=500.0, gt=0)
    """Requests a second, on the long run."""
    burst: float = Field(default=1000.0, ge=1)
    """Requests at once after a silence."""
    at_once: int = Field(default=192, ge=1)
    """Requests being answered at the same time."""


class TenantPolicy(Config):
    """One tenant's rules; the defaults are those of a tenant that gave none."""

    default_age_band: str = UNKNOWN
    """Band of users who declare none: `adult`, `minor`, `unknown`, or years such as `25-34`."""
    default_purposes: tuple[str, ...] = PROTECTED_PURPOSES
    """What the words of users who declare nothing may be used for."""
    quiet_hours: QuietHours | None = None
    time_zone: str | None = None
    """IANA name of the zone of users whose profile names none in its attribute `time_zone`."""
    contacts_per_day: int = Field(default=1, ge=0)
    """Most nudges to one user on one day of his."""
    explore: Literal["nobody", "adults"] = "nobody"
    """On whom the policy may try replies other than the best; never on a protected person."""
    on_store_failure: Literal["refuse", "pass_through"] = "refuse"
    """When a decision cannot be stored: answer 503, or pass the upstream's reply unlogged."""
    rates: Rates = Rates()
    """Limits on the requests of each key."""
    metrics: Mapping[str, Metric] = {}
    """Kinds of feedback of its own, by name; see `rapport.governance.feedback`."""
    retention_days: int | None = Field(default=None, ge=1)
    """Days after which what was written becomes null, and only its rows stay; none for never."""
    reward_wait_s: float = Field(default=600.0, gt=0, le=30 * 86_400)
    """Seconds that an event of the Personalizer's wire format waits for its reward."""
    default_reward: float = Field(default=0.0, ge=-1, le=1)
    """What such an event earns when none came; one that comes later takes its place."""

    @field_validator("default_purposes")
    @classmethod
    def _known(cls, purposes: tuple[str, ...]) -> tuple[str, ...]:
        return _ordered(purposes)

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, name: str | None) -> str | None:
        try:
            return name and ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin") from error

    @field_validator("metrics")
    @classmethod
    def _new_names(cls, metrics: Mapping[str, Metric]) -> Mapping[str, Metric]:
        for name in metrics:
            if name in FIXED or not _METRIC_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is taken, or not 1 to 64 of a-z, 0-9, '_', '-', '.'")
        return metrics

    def declared(self) -> Mapping[str, Metric]:
        """Every kind of feedback that is taken, by name."""
        return {**SHIPPED, **self.metrics}

    def age_band(self, declared: str | None) -> str:
        """The band a user declared, else the tenant's default, in lower case."""
        return (declared or self.default_age_band).strip().lower() or UNKNOWN

    def is_protected(self, age_band: str | None) -> bool:
        """Whether a person is a minor or of unknown age.

        A protected person gets no warm adapter, no memory, no proactive contact and no
        exploration, and is no training data.
        """
        return not _ADULT.fullmatch(self.age_band(age_band))

    def purposes_for(
        self, declared: Iterable[str] | None, *, age_band: str | None = None
    ) -> tuple[str, ...]:
        """What a user's words may be used for, in the order of `rapport.schema.PURPOSES`.

        Args:
            declared: Purposes the user agreed to; none means nothing was said, and the tenant's
                default holds. An empty collection is a refusal of all.
            age_band: The band the user declared; a protected person keeps `serve` alone.

        Raises:
            ConfigError: A purpose is not known.
        """
        try:
            purposes = self.default_purposes if declared is None else _ordered(declared)
        except ValueError as error:
            raise ConfigError("purposes", tuple(declared or ()), str(error)) from error
        if self.is_protected(age_band):
            return tuple(purpose for purpose in purposes if purpose in PROTECTED_PURPOSES)
        return purposes

    def may_explore(self, age_band: str | None) -> bool:
        """Whether replies other than the best may be tried on a person of this age band."""
        return self.explore == "adults" and not self.is_protected(age_band)


EMBEDDED = TenantPolicy(
    default_age_band="adult",
    default_purposes=("serve", "memory", "analytics", "train", "experiment", "infer_affect"),
    explore="adults",
)
"""Policy of the tenant `default` of an installation that was told nothing else."""


def load_tenants(path: Path) -> Mapping[str, TenantPolicy]:
    """Policies by tenant, from a tenants file; the embedded tenant is there unless it redefines it.

    Raises:
        ConfigError: The file cannot be read, or a setting in it is wrong; names tenant and setting.
    """
    policies = {EMBEDDED_TENANT: EMBEDDED}
    if not path.exists():
        return policies
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError("tenants file", str(path), f"it cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError("tenants file", str(path), "its top level must map tenants to policies")
    for tenant, settings in loaded.items():
        policies[str(tenant)] = _policy(str(tenant), settings)
    return policies


def policy_of(tenants: Mapping[str, TenantPolicy], tenant: str) -> TenantPolicy:
    """A tenant's policy; the protective one where it has none."""
    return tenants.get(tenant) or TenantPolicy()


def affect_allowed(purpose: str) -> bool:
    """Whether inferred sentiment, emotion, persona or crisis state may be read for a purpose.

    Only for the purposes a user can agree to; marketing, pricing, ads and anything else is refused.
    """
    return purpose in PURPOSES


def _policy(tenant: str, settings: object) -> TenantPolicy:
    try:
        return TenantPolicy.model_validate(settings or {})
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join([tenant, *(str(part) for part in first["loc"])])
        raise ConfigError(setting, first["input"], first["msg"]) from error
