"""The shape of an explanation, stable: `rapport explain --json` and the HTTP route print it."""

from typing import Literal

from pydantic import BaseModel, Field

Group = Literal["persona", "mood", "curve", "turn", "previous_arm", "words", "always"]


class Reason(BaseModel):
    """A code of the log, and what it means."""

    code: str
    meaning: str


class Veto(BaseModel):
    """What could not be chosen, or not be used, and why."""

    what: Literal["candidate", "arm", "persona", "adapter", "user"]
    name: str
    by: Literal["guard", "excluded", "switch", "menu", "protection", "control", "crisis"]
    reason: str


class Persona(BaseModel):
    """Whom the user was taken for."""

    persona_id: str
    margin: float | None = Field(description="Its probability minus the second's.")
    pinned: bool = Field(description="Whether the request named it.")
    probabilities: dict[str, float] | None = Field(
        description="Of every persona, as the policy saw them; null where the row does not tell."
    )


class Model(BaseModel):
    """The policy that decided, as frozen in its release."""

    release_id: str | None
    policy_id: str | None
    found: bool = Field(description="Whether it still lies on disk, byte for byte.")
    missing: str | None = Field(description="Why it was not found.")
    learner: str | None = None
    a: float | None = Field(default=None, description="Power of nlp.")
    b: float | None = Field(default=None, description="Power of rec.")
    temperature: float | None = None
    epsilon: float | None = Field(
        default=None, description="Share of chance that is spread evenly over the safe candidates."
    )
    incumbent: bool = Field(
        default=False, description="Whether the policy before answers for this persona."
    )


class Candidate(BaseModel):
    """One reply that could have been taken. Numbers are null where nothing was scored."""

    candidate_id: str
    arm: str | None
    text: str | None
    origin: str
    nlp: float | None = Field(description="How well it fits the context, in (0, 1].")
    rec: float | None = Field(description="(1 + expected reward) / 2, in (0, 1].")
    score: float | None = Field(description="nlp^a * rec^b.")
    share: float | None = Field(description="softmax(log score / temperature): before the floor.")
    floor: float | None = Field(description="What exploration adds whatever the score.")
    probability: float = Field(description="As logged; what was drawn from.")
    replayed: float | None = Field(description="The same from the release on disk.")
    safe: bool | None = Field(description="Whether chance alone may take it.")
    drawn: bool
    kept_out: Reason | None


class Chance(BaseModel):
    """How one candidate was drawn from the probabilities."""

    arm: str | None
    candidate_id: str
    propensity: float
    explored: bool = Field(description="Whether chance took another than the likeliest.")
    allowed: bool | None = Field(description="Whether chance was allowed; null where unknown.")
    why_not: str | None = Field(description="Where it was not: what is known of the cause.")
    seed_replays: bool | None = Field(description="Whether the logged seed draws the same again.")
    largest_difference: float | None = Field(
        description="Between logged and replayed probabilities; null without the release."
    )


class Effect(BaseModel):
    """What one thing that was known did to one candidate."""

    candidate_id: str
    nlp: float | None = Field(description="Its exact term of log nlp, against the mean candidate.")
    rec: float | None = Field(description="rec minus rec without it.")
    probability: float | None = Field(
        description="Probability minus probability without it, chance being allowed as it was."
    )


class Contribution(BaseModel):
    """What one thing that was known did."""

    group: Group
    value: str = Field(description="What was known.")
    neutral: str = Field(description="What stands for not knowing it.")
    candidates: list[Effect]


class Contributions(BaseModel):
    """What persona, mood, curve and the rest did to nlp, rec and probabilities."""

    nlp_method: Literal["exact_terms", "none"]
    rec_method: Literal["difference_to_neutral", "none"]
    why_none: str | None = Field(description="Why nothing can be said.")
    groups: list[Contribution] = []
    rec_neutral: dict[str, float] = Field(
        default={}, description="rec of each candidate where nothing is known."
    )
    rec_together: dict[str, float] = Field(
        default={},
        description="What is left of rec: the groups' joint effect beyond each one's own.",
    )
    note: str | None = None


class Explanation(BaseModel):
    """Why a decision was taken."""

    decision_id: str | None = Field(description="Null where nothing was logged.")
    episode_id: str
    ts: str
    agent_id: str
    source: str = Field(description="`serve`, or the format that the row was read from.")
    mode: Reason
    delivered: Reason
    degraded: list[Reason]
    control: bool
    summary: str = Field(description="One paragraph for people.")
    persona: Persona | None
    model: Model
    candidates: list[Candidate]
    chance: Chance | None = Field(description="Null where nothing was drawn.")
    not_drawn: str | None = Field(description="Why nothing was drawn.")
    contributions: Contributions
    vetoed: list[Veto]
