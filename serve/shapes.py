"""Bodies of answers, as /openapi.json tells them. What is built elsewhere may hold more."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Open(BaseModel):
    """A body that may hold more than is told here."""

    model_config = ConfigDict(extra="allow")


class Health(Open):
    """The process answers."""

    status: Literal["ok"]


class Refused(BaseModel):
    """A release that cannot serve."""

    release_id: str
    reason: str


class Trying(Open):
    """A release that is tried on a part of the users, or only beside the one that serves."""

    release_id: str
    share: float = Field(description="Of the users it answers; 0 for a shadow, or where refused.")
    reason: str | None = Field(description="Why it could not be loaded, so that it is not tried.")


class Readiness(Open):
    """Whether requests can be answered, and what would answer them."""

    status: Literal["ready", "not_ready"]
    release_id: str | None = Field(description="The release that serves; none at first.")
    refused: Refused | None = Field(description="What CURRENT names, where it cannot serve.")
    canary: Trying | None = Field(description="What is tried beside it; none where nothing is.")
    failing: dict[str, str] = Field(description="Part that is not ready, and why.")


class Model(Open):
    """A name that `model` may hold."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """Every such name."""

    object: Literal["list"]
    data: list[Model]


class DecisionBlock(Open):
    """Ours beside OpenAI's: the decision behind a reply. Ids are null in a dry run."""

    decision_id: str | None
    episode_id: str | None
    mode: str
    delivered: str
    propensity: float | None


class Choice(Open):
    """One reply."""

    index: int
    message: dict[str, Any]
    finish_reason: str | None


class Completion(Open):
    """OpenAI's chat completion, with our block."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    rapport: DecisionBlock


class Ranked(Open):
    """The action to take, or the arm to answer under; in a crisis what must be said."""

    decision_id: str | None
    rapport: DecisionBlock


class Activated(BaseModel):
    """The decision counts."""

    decision_id: str
    activated: Literal[True]


class FeedbackTaken(BaseModel):
    """Feedback is on record; the reward is a preview."""

    feedback_id: str
    sentiment: float | None
    reward: float | None


class Decision(Open):
    """A decision as it was logged; fields of affect are null where they may not be read."""

    decision_id: str
    episode_id: str
    ts: str
    mode: str
    delivered: str
    candidates: list[dict[str, Any]]
    action_index: int
    propensity: float


class Decisions(BaseModel):
    """A page of decisions, newest first."""

    object: Literal["list"]
    data: list[Decision]
    has_more: bool
    after: str | None = Field(description="Give it as `after` for the next page.")


class Nudge(BaseModel):
    """Something to say to a user unasked, about one of his tasks."""

    decision_id: str
    task_id: str
    kind: Literal["suggestion", "resource", "reminder"]
    text: str = Field(description="Approved words; they name neither the user nor the task.")
    deadline: str
    urgency: float = Field(description="In [0, 1]: how much of the task's time has passed.")
    proposed: str


class Nudges(BaseModel):
    """What a user may be told now."""

    object: Literal["list"]
    data: list[Nudge]
    withheld: str | None = Field(
        description="Why nothing may be said to him now: protected, no consent, quiet hours, "
        "time zone unknown, crisis."
    )


class Profile(BaseModel):
    """What is on record of a user; null means unknown, and the tenant's default holds."""

    age_band: str | None
    jurisdiction: str | None
    purposes: list[str] | None
    attributes: dict[str, str]
    preferences: dict[str, str]


class Effective(BaseModel):
    """What holds for a user under the tenant's policy."""

    age_band: str
    purposes: list[str]
    protected: bool
    explorable: bool


class Affect(BaseModel):
    """What was inferred of a user: its own class of data."""

    persona_id: str | None
    curve: float | None = Field(description="Level of the sentiment curve, in [-1, 1].")
    last_arm: str | None


class UserState(BaseModel):
    """Who a user is to serving, now."""

    user_id: str
    profile: Profile
    effective: Effective
    last_event_ts: str | None
    affect: Affect | None = Field(
        description="Null without the user's `infer_affect`, or without the key's `affect`."
    )


class PersonaCard(Open):
    """A persona of the release that serves, in counts and differences."""

    persona_id: str
    adapter: bool = Field(description="Whether it has an adapter of its own.")


class Personas(BaseModel):
    """Personas of the release that serves."""

    object: Literal["list"]
    release_id: str | None
    data: list[PersonaCard]


class Release(Open):
    """A published release."""

    release_id: str
    alias: str | None
    created: str | None
    gate: Literal["promoted", "refused"] | None
    current: bool = Field(description="CURRENT names it.")
    serves: bool = Field(description="This replica has it loaded.")
    fault: str | None


class Releases(BaseModel):
    """Published releases, oldest first."""

    object: Literal["list"]
    data: list[Release]
    refused: Refused | None = Field(description="What CURRENT names, where it cannot serve.")
