"""`POST /v1/rank`: the next best of the client's own actions, or just the arm to answer under.

    context ─> crisis? ─> persona, state ─> policy over the actions ─> drawn, logged, answered

Mode `control` and mode `observe` answer the client's first action that may be taken: put first what
would be done without us. In `observe` the action that would have been drawn is logged beside it.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from rapport.arms import DEFAULT_AGENT, Arm
from rapport.errors import NotFoundError, ServingError
from rapport.governance.redaction import redact

from .deferral import activate
from .exchange import Exchanges
from .plan import Plan
from .planner import may_explore
from .reranker import Draw, Option, Reranker, sure
from .rows import response_block
from .speech import Sample, Speech
from .wire import ChatRequest, Message, UserFields

MAX_ACTIONS = 256
MAX_FEATURES = 64
EXCLUDED = "excluded"
Id = Annotated[str, Field(min_length=1, max_length=128)]


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
    features: Annotated[dict[str, FiniteFloat], Field(max_length=MAX_FEATURES)] = {}
    nlp_score: float | None = Field(default=None, gt=0, le=1)


class RankRequest(BaseModel):
    """Body of `POST /v1/rank`."""

    model_config = ConfigDict(extra="forbid")

    user: Id | UserFields | None = None
    context: Annotated[str, Field(min_length=1)] | Annotated[list[Message], Field(max_length=512)]
    """What the user said last, or the conversation that ends in it."""
    actions: list[Action] = Field(default=[], max_length=MAX_ACTIONS)
    excluded: list[Id] = Field(default=[], max_length=MAX_ACTIONS)
    """Ids of actions that may not be taken this time."""
    episode_id: str | None = Field(default=None, min_length=1, max_length=64)
    agent_id: str = DEFAULT_AGENT
    defer: bool = False
    """Count the decision only once it is activated, or fed back on; see `Ranks.activate`."""

    @model_validator(mode="after")
    def _whole(self) -> "RankRequest":
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
        said = self.context
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


class Ranks:
    """Choose among actions or arms; what is chosen is on disk before it is answered."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges, self._reader = exchanges, exchanges.reader
        self._reranker = Reranker()

    async def take(
        self, tenant: str, asked: RankRequest, header_user: str | None = None
    ) -> dict[str, Any]:
        """Rank and log.

        Returns:
            With actions `decision_id`, `action_id` and `ranking` (best first: `id`, `probability`
            exactly as drawn from, `score` the product, null for what was kept out), without
            `decision_id`, `arm`, `instructions` and `probabilities`; and the `rapport` object of
            chat. In a crisis `action_id` and `arm` are null and `reply` is what must be said.

        Raises:
            ServingError: No action may be taken, or the request asks for what cannot be.
            UnavailableError: The store is down; nothing is half-done.
        """
        plan = await asyncio.to_thread(self._planned, tenant, asked, header_user)
        text = plan.ready or ""
        speech = Speech(delivered=plan.delivered, samples=[Sample(text=text, read=text)])
        ledger = self._exchanges.ledger
        await (ledger.open if plan.deferred else ledger.commit)(plan, speech)
        self._exchanges.planner.remember(plan)
        return _answer(plan, speech, actions=bool(asked.actions))

    async def activate(self, tenant: str, decision_id: str) -> dict[str, Any]:
        """Let a deferred decision count: the action was really taken.

        One that is never activated nor fed back on within ten minutes is closed as `fallback`, so
        that nothing learns from it. Activating twice, or what was not deferred, changes nothing.

        Raises:
            NotFoundError: No such decision was issued to this tenant.
        """
        return await asyncio.to_thread(self._activate, tenant, decision_id)

    def _planned(self, tenant: str, asked: RankRequest, header_user: str | None) -> Plan:
        plan = self._exchanges.heard(tenant, asked.as_chat(), header_user)
        if plan.crisis:
            return plan
        plan = self._chosen(self._exchanges.planner.recalled(plan), asked)
        return replace(plan, deferred=asked.defer)

    def _chosen(self, plan: Plan, asked: RankRequest) -> Plan:
        mode = self._exchanges.planner.default_mode(plan)
        plan = replace(plan, mode="rank" if mode == "arm_first" else mode, origin="client")
        if not asked.actions:
            return self._arm_alone(plan)
        options = [self._option(plan, action, excluded=asked.excluded) for action in asked.actions]
        default = next((option for option in options if option.guard is None), None)
        if default is None:
            raise ServingError(
                "actions: none is left; each is excluded or its text may not leave", "actions"
            )
        if plan.mode == "control":
            draw = sure(replace(default, arm=None))
            return replace(plan, draw=draw, ready=default.text, delivered="control")
        draw = self._drawn(plan, options, asked.actions)
        if plan.mode == "observe":
            return replace(plan, draw=draw, ready=default.text, default=default.action_id)
        return replace(plan, draw=draw, ready=draw.option.text, delivered="full")

    def _arm_alone(self, plan: Plan) -> Plan:
        if plan.mode == "control":
            return replace(plan, delivered="control")
        agent, explore = plan.party.agent_id, may_explore(plan)
        draw = self._reranker.draw_arm(plan.bundle, plan.case(), agent=agent, explore=explore)
        return replace(plan, draw=draw, delivered="full" if plan.mode == "rank" else plan.delivered)

    def _option(self, plan: Plan, action: Action, *, excluded: Sequence[str]) -> Option:
        fault = self._reader.fault(action.text) if action.text is not None else None
        guard = EXCLUDED if action.id in excluded else fault
        share = self._shares(plan, [action])[0]
        return Option(
            arm=_shown_most(plan, share),
            text=redact(action.text) if action.text and guard is None else None,
            origin="client",
            action_id=action.id,
            features=action.features,
            guard=guard,
        )

    def _drawn(self, plan: Plan, options: Sequence[Option], actions: Sequence[Action]) -> Draw:
        kept = [a for a, option in zip(actions, options, strict=True) if option.guard is None]
        return self._reranker.draw_option(
            plan.bundle,
            plan.case(),
            options=options,
            nlp=[1.0 if action.nlp_score is None else action.nlp_score for action in kept],
            shown=self._shares(plan, kept),
            explore=may_explore(plan),
        )

    def _shares(self, plan: Plan, actions: Sequence[Action]) -> NDArray[np.float64]:
        """[k, A] what the policy takes each action for; see `Action`."""
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
            shares[spoken] = self._reader.shown(texts, strategies, plan.bundle.layout)
        return shares

    def _activate(self, tenant: str, decision_id: str) -> dict[str, Any]:
        row = self._exchanges.store.decision(decision_id)
        if row is None or row["tenant"] != tenant:
            raise NotFoundError(f"no decision {decision_id!r} was issued here", "decision_id")
        activate(self._exchanges.store, row)
        return {"decision_id": decision_id, "activated": True}


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


def _shown_most(plan: Plan, share: NDArray[np.float64]) -> Arm | None:
    """The served arm with the largest share; none where all are even and nothing is told."""
    served = plan.bundle.menu(plan.party.agent_id).served
    shares = share[_served(plan)]
    return None if np.ptp(shares) == 0 else served[int(shares.argmax())]


def _answer(plan: Plan, speech: Speech, *, actions: bool) -> dict[str, Any]:
    block = response_block(plan, speech)
    answer: dict[str, Any] = {"decision_id": plan.decision_id, "rapport": block}
    if plan.crisis:
        answer["reply"] = speech.text
    if actions:
        taken = plan.default or (plan.draw.option.action_id if plan.draw else None)
        return {**answer, "action_id": taken, "ranking": _ranking(plan)}
    arm = plan.arm
    shares = {o.arm.name: p for o, p in _pairs(plan.draw) if o.arm} if plan.draw else {}
    told = {"arm": arm.name if arm else None, "instructions": arm.instruction if arm else None}
    return {**answer, **told, "probabilities": shares}


def _ranking(plan: Plan) -> list[dict[str, Any]]:
    if plan.draw is None:
        return []
    draw, behaviour = plan.draw, plan.bundle.policy.behaviour
    score = np.exp(behaviour.log_score(draw.nlp, draw.rec))
    rows = [
        {"id": option.action_id, "probability": share, "score": _finite(value)}
        for (option, share), value in zip(_pairs(draw), score.tolist(), strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["probability"], -(row["score"] or 0.0)))


def _pairs(draw: Draw) -> list[tuple[Option, float]]:
    return list(zip(draw.options, draw.probability.tolist(), strict=True))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
