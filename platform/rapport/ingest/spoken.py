"""A turn as somebody's log tells it, before it is a row: who spoke, what, when, and what of it."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from rapport.arms import DEFAULT_AGENT, agents, arm_names
from rapport.errors import RowError
from rapport.ingest.batch import Intake
from rapport.ingest.fields import Record, identifier, one_of, real, text, words
from rapport.schema import PURPOSES, content_id

ROLES = {
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
    "system": "system",
    "developer": "system",
}
"""Roles as logs write them; what a system says is an instruction and becomes no turn."""
RANGES = {
    "rating": (1.0, 5.0),
    "thumbs": (0.0, 1.0),
    "task_success": (0.0, 1.0),
    "dwell": (0.0, 86_400.0),
    "reward": (-1.0, 1.0),
}
"""Metrics a record may carry, and what they may be; `comment` is a text."""
OPINIONS = (*RANGES, "comment")
WHO = (
    "user_id", "agent_id", "journey_id", "age_band", "jurisdiction", "language", "purposes",
)  # fmt: skip
"""Fields that say whose record it is."""
_GROUPS = ("age_band", "jurisdiction", "language")


class Opinion(NamedTuple):
    """What was said of a turn or a conversation, checked."""

    metric: str
    value: float | None
    text: str | None = None
    sentiment: float | None = None
    """What the value says, in [-1, 1], where its metric tells."""


@dataclass(frozen=True)
class Who:
    """Whose a record is, as far as it says."""

    user_id: str | None = None
    """As in the log."""
    agent_id: str | None = None
    journey_id: str | None = None
    groups: tuple[tuple[str, str], ...] = ()
    purposes: tuple[str, ...] | None = None

    @property
    def age_band(self) -> str | None:
        """The band it states."""
        return dict(self.groups).get("age_band")

    def filled(self, other: "Who") -> "Who":
        """The same, taking from another record of the conversation what it does not say."""
        return Who(
            self.user_id or other.user_id,
            self.agent_id or other.agent_id,
            self.journey_id or other.journey_id,
            tuple({**dict(other.groups), **dict(self.groups)}.items()),
            other.purposes if self.purposes is None else self.purposes,
        )


@dataclass(frozen=True)
class Spoken:
    """One turn, checked; its place and time may still be open."""

    conversation_id: str
    identity: tuple[str, ...]
    """What tells it from the other turns of its conversation, from its content."""
    who: Who
    role: str
    text: str | None
    kind: str = "message"
    index: int | None = None
    """Place in the conversation, none where the log does not say."""
    ts: dt.datetime | None = None
    began: dt.datetime | None = None
    """When its conversation began, where the log says so."""
    labels: tuple[tuple[str, str], ...] = ()
    """Topic, goal, task_id and arm, as far as given."""
    features: tuple[tuple[str, float], ...] = ()
    opinions: tuple[Opinion, ...] = ()
    """Of this turn."""
    closing: tuple[Opinion, ...] = ()
    """Of the whole conversation, which ends here."""
    alone: bool = False
    """A record of its own: other turns of the conversation may lie anywhere."""


def who(record: Record, intake: Intake) -> Who:
    """Read whose a record is; `user_id` may be called `user` and hold an object with an `id`.

    Raises:
        RowError: A field is not what it must be.
    """
    name = "user_id" if record.get("user_id") is not None else "user"
    given = record.get(name)
    user = identifier(given, "id", where=name) if isinstance(given, dict) else None
    user = user or (None if isinstance(given, dict) else identifier(record, name))
    agent = one_of(text(record, "agent_id"), agents(), name="agent_id")
    groups = {kind: text(record, kind) for kind in _GROUPS}
    purposes = words(record, "purposes")
    stated = Who(
        user_id=user,
        agent_id=agent,
        journey_id=identifier(record, "journey_id"),
        groups=tuple((kind, label) for kind, label in groups.items() if label),
        purposes=None if purposes is None else tuple(purposes),
    )
    allowed(stated, intake)
    return stated


def allowed(stated: Who, intake: Intake) -> tuple[str, ...]:
    """What rows of somebody may be used for: what he agreed to, as far as was declared for all.

    Raises:
        RowError: For nothing, or a purpose is not known.
    """
    unknown = set(stated.purposes or ()) - set(PURPOSES)
    if unknown:
        raise RowError("purposes", f"are not all known; known: {', '.join(PURPOSES)}")
    everybody = intake.purposes_for(stated.age_band)
    if stated.purposes is None:
        found = everybody
    else:
        own = intake.policy.purposes_for(stated.purposes, age_band=stated.age_band)
        found = own if intake.declared is None else tuple(p for p in own if p in everybody)
    if not found:
        raise RowError("purposes", "allow nothing that this tenant does")
    return found


def opinions(
    record: Record, *, prefix: str = ""
) -> tuple[tuple[Opinion, ...], tuple[tuple[RowError, str], ...]]:
    """What a record says of a turn or a conversation: those that are valid, and the others."""
    good: list[Opinion] = []
    bad: list[tuple[RowError, str]] = []
    for metric in OPINIONS:
        try:
            found = _opinion(record, metric, where=prefix + metric)
        except RowError as error:
            bad.append((error, metric))
            continue
        if found:
            good.append(found)
    return tuple(good), tuple(bad)


def labels(record: Record, intake: Intake) -> tuple[tuple[str, str], ...]:
    """Topic, goal, task and arm of a turn, as far as given; foreign arms under our names.

    Raises:
        RowError: One is not text, or the arm is in no menu.
    """
    found = {name: text(record, name) for name in ("topic", "goal", "task_id", "arm")}
    found["arm"] = intake.mapping.arms.get(found["arm"] or "", found["arm"])
    if found["arm"] is not None and found["arm"] not in arm_names():
        raise RowError("arm", "is in no menu")
    return tuple((name, label) for name, label in found.items() if label)


def role_of(record: Record, intake: Intake, *, where: str) -> str:
    """Role of a message: user, assistant, tool or system.

    Raises:
        RowError: It is missing or none of them.
    """
    stated = text(record, "role", where=where)
    if stated is None:
        raise RowError(where, "is missing")
    known = {**ROLES, **intake.mapping.roles}
    role = known.get(stated) or known.get(stated.lower())
    if role is None:
        raise RowError(where, f"is none of {', '.join(sorted(known))}")
    return role


def conversation_key(tenant: str, name: str) -> str:
    """Id of a conversation that the log names: the same in every format, so that files join."""
    return content_id(tenant, "conversation", name)


def agent_of(stated: Who) -> str:
    """The agent that was talked to."""
    return stated.agent_id or DEFAULT_AGENT


def _opinion(record: Record, metric: str, *, where: str) -> Opinion | None:
    if metric == "comment":
        comment = text(record, metric, where=where)
        return Opinion(metric, None, comment) if comment else None
    value = real(record, metric, where=where)
    if value is None:
        return None
    low, high = RANGES[metric]
    if not low <= value <= high:
        raise RowError(where, f"is outside {low:g} to {high:g}")
    return Opinion(metric, value)
