"""What `POST /v1/rank` takes, and what the policy takes each action for."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from rapport.arms import DEFAULT_AGENT, Arm
from rapport.errors import ServingError

from .doors import Caller
from .plan import Plan
from .reading import Reader
from .wire import ChatRequest, Message, UserFields

MAX_ACTIONS = 256
MAX_FEATURES = 256
Id = Annotated[str, Field(min_length=1, max_length=128)]
Features = Annotated[dict[str, FiniteFloat], Field(max_length=MAX_FEATURES)]


class Action(BaseModel):
    """One thing that could be said or done.

    What each field does: `text` is read for the arms it shows, and the policy weighs the action as
    that mixture of arms; the output guard may keep it out. `features` named after arms of the
    agent's menu are such shares themselves, for actions without a text (`{"question": 1}`). Every
    other feature is logged with the candidate, for whoever trains on the log, and changes nothing
    now: no policy of this version reads it. An action with neither counts as all arms evenly.
    `nlp_score` in (0, 1] says how well it fits the context; give it for all actions or for none
    (then 1).
    """

    model_config = ConfigDict(extra="forbid")

    id: Id
    text: Annotated[str, Field(min_length=1, max_length=8000)] | None = None
    features: Features = {}
    nlp_score: float | None = Field(default=None, gt=0, le=1)


class RankRequest(BaseModel):
    """Body of `POST /v1/rank`."""

    model_config = ConfigDict(extra="forbid")

    user: Id | UserFields | None = None
    context: (
        Annotated[str, Field(min_length=1)] | Annotated[list[Message], Field(max_length=512)] | None
    ) = None
    """What the user said last, or the conversation that ends in it; none where nothing was said."""
    features: Features = {}
    """What else is known of the situation; logged for whoever trains on the log, and read by no
    policy of this version."""
    actions: list[Action] = Field(default=[], max_length=MAX_ACTIONS)
    excluded: list[Id] = Field(default=[], max_length=MAX_ACTIONS)
    """Ids of actions that may not be taken this time."""
    episode_id: str | None = Field(default=None, min_length=1, max_length=64)
    agent_id: str = DEFAULT_AGENT
    defer: bool = False
    """Count the decision only once it is activated, or fed back on; see `Ranks.activate`."""

    @model_validator(mode="after")
    def _whole(self) -> "RankRequest":
        if self.context is None and not self.features and not self.actions:
            raise ValueError("context: give what was said, or features, or actions")
        ids = [action.id for action in self.actions]
        if len(set(ids)) < len(ids):
            raise ValueError("actions: every id must be another")
        if not set(self.excluded) <= set(ids):
            raise ValueError("excluded: names what is no action")
        if len({action.nlp_score is None for action in self.actions}) > 1:
            raise ValueError("actions: give nlp_score for all or for none")
        return self

    def as_chat(self) -> ChatRequest:
        """The same message as a chat's, so that party, episode and crisis are found as there."""
        said = "" if self.context is None else self.context
        messages = [Message(role="user", content=said)] if isinstance(said, str) else said
        if not messages:
            raise ServingError("context: there is no message", "context")
        who = UserFields(id=self.user) if isinstance(self.user, str) else self.user or UserFields()
        return ChatRequest.model_validate(
            {
                "messages": messages,
                "rapport::user": who,
                "rapport::episode_id": self.episode_id,
                "rapport::agent_id": self.agent_id,
            }
        )


A = TypeVar("A", ChatRequest, RankRequest)


def for_agent(caller: Caller, asked: A) -> A:
    """Take a bound key's only agent where the request names none; refuse one of others."""
    if len(caller.agents) == 1 and "agent_id" not in asked.model_fields_set:
        return asked.model_copy(update={"agent_id": min(caller.agents)})
    caller.must_speak_for(asked.agent_id)
    return asked


def shares_of(plan: Plan, actions: Sequence[Action], reader: Reader) -> NDArray[np.float64]:
    """[k, A] what the policy takes each action for, rows sum to 1; see `Action`."""
    served = _served(plan)
    shares = np.zeros((len(actions), len(plan.bundle.layout.arms)))
    shares[:, served] = 1 / len(served)
    for row, action in zip(shares, actions, strict=True):
        told = _told(plan, action.features)
        if action.text is None and told is not None:
            row[:] = told
    spoken = [i for i, action in enumerate(actions) if action.text is not None]
    strategies = plan.bundle.strategies
    if spoken and strategies is not None:
        texts = [actions[i].text or "" for i in spoken]
        shares[spoken] = reader.shown(texts, strategies, plan.bundle.layout)
    return shares


def _served(plan: Plan) -> NDArray[np.intp]:
    names = [arm.name for arm in plan.bundle.menu(plan.party.agent_id).served]
    return plan.bundle.layout.arm_index(names)


def _told(plan: Plan, features: Mapping[str, float]) -> NDArray[np.float64] | None:
    """[A] the arms that features name, as shares; none where they name none."""
    names = [arm.name for arm in plan.bundle.menu(plan.party.agent_id).served]
    weights = np.array([max(features.get(name, 0.0), 0.0) for name in names])
    if not weights.sum() > 0:
        return None
    told = np.zeros(len(plan.bundle.layout.arms))
    told[_served(plan)] = weights / weights.sum()
    return told


def shown_most(plan: Plan, share: NDArray[np.float64]) -> Arm | None:
    """The served arm with the largest share; none where all are even and nothing is told."""
    served = plan.bundle.menu(plan.party.agent_id).served
    shares = share[_served(plan)]
    return None if np.ptp(shares) == 0 else served[int(shares.argmax())]
