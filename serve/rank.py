"""`POST /v1/rank`: the next best of the client's own actions, or just the arm to answer under.

    context ─> crisis? ─> persona, state ─> policy over the actions ─> drawn, logged, answered

Mode `control` and mode `observe` answer the client's first action that may be taken: put first what
would be done without us. In `observe` the action that would have been drawn is logged beside it.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import ConflictError, NotFoundError, ServingError
from rapport.governance.redaction import redact
from rapport.store import ABANDONED

from .actions import Action, RankRequest, shares_of, shown_most
from .deferral import Event, activate
from .exchange import Exchanges
from .plan import Plan
from .planner import may_explore
from .reranker import Draw, Option, Reranker, sure
from .rows import response_block
from .speech import Sample, Speech

EXCLUDED = "excluded"
CONTEXT = "context:"
"""Prefix of what the client told of the situation among a decision's features."""


class Ranks:
    """Choose among actions or arms; what is chosen is on disk before it is answered."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges, self._reader = exchanges, exchanges.reader
        self._reranker = Reranker()

    async def take(
        self,
        tenant: str,
        asked: RankRequest,
        header_user: str | None = None,
        *,
        event: Event | None = None,
    ) -> dict[str, Any]:
        """Rank and log; an event that is on record already stays as it is.

        Returns:
            With actions `decision_id`, `action_id` and `ranking` (best first: `id`, `probability`
            exactly as drawn from, `score` the product, null for what was kept out), without
            `decision_id`, `arm`, `instructions` and `probabilities`; and the `rapport` object of
            chat. In a crisis `action_id` and `arm` are null and `reply` is what must be said.

        Raises:
            ServingError: No action may be taken, or the request asks for what cannot be.
            UnavailableError: The store is down; nothing is half-done.
        """
        plan = await asyncio.to_thread(self._planned, tenant, asked, header_user, event)
        text = plan.ready or ""
        speech = Speech(delivered=plan.delivered, samples=[Sample(text=text, read=text)])
        ledger = self._exchanges.ledger
        await (ledger.open if plan.deferred else ledger.commit)(plan, speech)
        return _answer(plan, speech, actions=bool(asked.actions))

    async def activate(self, tenant: str, decision_id: str) -> dict[str, Any]:
        """Let a deferred decision count: the action was really taken.

        One that is never activated nor fed back on within ten minutes is closed as `fallback`, so
        that nothing learns from it. Activating twice, or what was not deferred, changes nothing.

        Raises:
            NotFoundError: No such decision was issued to this tenant.
            ConflictError: It came too late, the decision was closed.
        """
        return await asyncio.to_thread(self._activate, tenant, decision_id)

    def _planned(
        self, tenant: str, asked: RankRequest, header_user: str | None, event: Event | None
    ) -> Plan:
        silent = asked.context is None
        plan = self._exchanges.hearing.heard(tenant, asked.as_chat(), header_user, silent=silent)
        plan = replace(plan, noted={f"{CONTEXT}{k}": v for k, v in asked.features.items()})
        if event is not None:
            plan = replace(plan, decision_id=event.decision_id, event=event)
        if silent:
            plan = replace(plan, reading=plan.reading.neutral())
        if plan.crisis:
            return plan
        plan = self._chosen(self._exchanges.planner.recalled(plan), asked)
        return replace(plan, deferred=asked.defer)

    def _chosen(self, plan: Plan, asked: RankRequest) -> Plan:
        mode = self._exchanges.planner.default_mode(plan)
        plan = replace(plan, mode="rank" if mode == "arm_first" else mode, origin="client")
        if not asked.actions:
            return self._arm_alone(plan)
        shares = shares_of(plan, asked.actions, self._reader)
        options = [
            self._option(plan, action, share, excluded=asked.excluded)
            for action, share in zip(asked.actions, shares, strict=True)
        ]
        default = next((option for option in options if option.guard is None), None)
        if default is None:
            raise ServingError(
                "actions: none is left; each is excluded or its text may not leave", "actions"
            )
        if plan.mode == "control":
            draw = sure(replace(default, arm=None))
            return replace(plan, draw=draw, ready=default.text, delivered="control")
        draw = self._drawn(plan, options, asked.actions, shares)
        if plan.mode == "observe":
            return replace(plan, draw=draw, ready=default.text, default=default.action_id)
        return replace(plan, draw=draw, ready=draw.option.text, delivered="full")

    def _arm_alone(self, plan: Plan) -> Plan:
        if plan.mode == "control":
            return replace(plan, delivered="control")
        draw = self._exchanges.planner.drawn(plan)
        return replace(plan, draw=draw, delivered="full" if plan.mode == "rank" else plan.delivered)

    def _option(
        self,
        plan: Plan,
        action: Action,
        share: NDArray[np.float64],
        *,
        excluded: Sequence[str],
    ) -> Option:
        fault = self._reader.fault(action.text) if action.text is not None else None
        guard = EXCLUDED if action.id in excluded else fault
        option = Option(
            arm=shown_most(plan, share),
            text=redact(action.text) if action.text and guard is None else None,
            origin="client",
            action_id=action.id,
            features=action.features,
            guard=guard,
        )
        read = action.text is not None and guard is None
        return option.showing(plan.bundle.layout, share) if read else option

    def _drawn(
        self,
        plan: Plan,
        options: Sequence[Option],
        actions: Sequence[Action],
        shares: NDArray[np.float64],
    ) -> Draw:
        free = [i for i, option in enumerate(options) if option.guard is None]
        scores = [actions[i].nlp_score for i in free]
        return self._reranker.draw_option(
            plan.bundle,
            plan.case(),
            options=options,
            nlp=[1.0 if score is None else score for score in scores],
            shown=shares[free],
            explore=may_explore(plan),
        )

    def _activate(self, tenant: str, decision_id: str) -> dict[str, Any]:
        row = self._exchanges.store.decision(decision_id)
        if row is None or row["tenant"] != tenant:
            raise NotFoundError(f"no decision {decision_id!r} was issued here", "decision_id")
        if row["degraded"] == ABANDONED:
            told = "was given up before it was activated; rank anew"
            raise ConflictError(f"decision {decision_id!r} {told}", "decision_id")
        activate(self._exchanges.store, row)
        return {"decision_id": decision_id, "activated": True}


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
