"""Mode `rerank`: replies under k arms and the client's own are scored, and one of them is drawn."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rapport.affect.strategy import StrategyScorer
from rapport.arms import Arm
from rapport.errors import UnavailableError
from rapport.language.engine import Delta, GenerationRequest

from .persona_model import Pair
from .plan import Plan
from .planner import adapted, may_explore
from .reading import Reader
from .records import joined_reasons
from .reranker import Option, Reranker

CANDIDATES = 3
WRITE_SHARE, SCORE_SHARE = 0.5, 0.75
"""Of the deadline: when candidates must be written, and scored; the rest is for a fallback."""
INTENT_FLOOR = 0.25
"""Where no candidate fits its context better than this, one that asks what was meant joins them."""


class Writer(Protocol):
    """What writes replies: a persona model, near or behind a handle."""

    def stream(
        self, request: GenerationRequest, adapter_folder: str | None = None
    ) -> AsyncIterator[Delta]:
        """Yield a reply's deltas."""
        ...

    async def score(
        self, pairs: Sequence[Pair], adapter_folder: str | None = None
    ) -> list[tuple[float, float]]:
        """Score pairs: log-likelihood a token, and its gain over no context."""
        ...


class Ranking:
    """Write and rank candidates: `nlp` says how a text fits, `rec` what it should earn."""

    def __init__(self, writer: Writer, reader: Reader, *, deadline_s: float) -> None:
        self._writer, self._reader, self._reranker = writer, reader, Reranker()
        self._deadline_s = deadline_s

    async def rank(self, plan: Plan) -> Plan:
        """Write the candidates and draw one; it is then ready to be said.

        Candidates the output guard refuses stay out of the draw. With fewer than two left the
        plan goes on as `arm_first`, and `degraded` says why: `rerank:no_release`, `rerank:engine`
        or `rerank:guard`. It also says what else was missing: `rerank:engine` with fewer
        candidates, `rerank:unscored` or `rerank:no_discriminator` where `rec` alone decides.
        """
        strategies = plan.bundle.strategies
        if strategies is None:
            return _given_up(plan, "rerank:no_release")
        agent = plan.party.agent_id
        arms = self._reranker.best_arms(plan.bundle, plan.case(), agent=agent, k=CANDIDATES)
        ours = await self._all_written(plan, arms)
        theirs = await asyncio.to_thread(self._brought, plan, strategies)
        options = [self._vetted(option) for option in (*ours, *theirs)]
        free = [option for option in options if option.guard is None]
        missing = "rerank:engine" if len(ours) < len(arms) else None
        if len(free) < 2:
            return _given_up(plan, missing or "rerank:guard")
        nlp, unscored = await self._fit(plan, free)
        if max(nlp) < INTENT_FLOOR:
            asking = _asking(plan)
            options, free = [*options, *asking], [*free, *asking]
            nlp = [*nlp, *[INTENT_FLOOR] * len(asking)]
        shown = await asyncio.to_thread(self._shown, plan, free, strategies)
        told = iter(shown)
        options = [o if o.guard else o.showing(plan.bundle.layout, next(told)) for o in options]
        draw = self._reranker.draw_option(
            plan.bundle,
            plan.case(),
            options=options,
            nlp=nlp,
            shown=shown,
            explore=may_explore(plan),
        )
        degraded = joined_reasons(plan.degraded, missing, unscored)
        return replace(plan, draw=draw, ready=draw.option.text, degraded=degraded)

    async def _all_written(self, plan: Plan, arms: Sequence[Arm]) -> list[Option]:
        """Write under k arms, all in the engine's one batch; what came in time counts."""
        texts = await asyncio.gather(*(self._write(plan, arm) for arm in arms))
        return [
            Option(arm, text, plan.origin)
            for arm, text in zip(arms, texts, strict=True)
            if text is not None
        ]

    def _brought(self, plan: Plan, strategies: StrategyScorer) -> list[Option]:
        """Take the client's own replies, each under the arm that it shows most."""
        texts = plan.asked.candidates
        if not texts:
            return []
        served = plan.bundle.menu(plan.party.agent_id).served
        columns = plan.bundle.layout.arm_index([arm.name for arm in served])
        shown = self._reader.shown(texts, strategies, plan.bundle.layout)[:, columns]
        arms = [served[int(place)] for place in shown.argmax(axis=1)]
        return [Option(arm, text, "client") for arm, text in zip(arms, texts, strict=True)]

    def _vetted(self, option: Option) -> Option:
        fault = self._reader.fault(option.text or "")
        # Nothing may learn from a text that must not leave, so it is not kept.
        return replace(option, guard=fault, text=None) if fault else option

    def _shown(
        self, plan: Plan, free: Sequence[Option], strategies: StrategyScorer
    ) -> NDArray[np.float64]:
        texts = [option.text or "" for option in free]
        return self._reader.shown(texts, strategies, plan.bundle.layout)

    async def _write(self, plan: Plan, arm: Arm) -> str | None:
        try:
            async with asyncio.timeout(self._left_s(plan, WRITE_SHARE)):
                deltas = self._writer.stream(plan.request(arm), plan.adapter[1])
                return "".join([delta.text async for delta in deltas]).strip()
        except (UnavailableError, TimeoutError):
            return None

    def _left_s(self, plan: Plan, share: float) -> float:
        return share * self._deadline_s - (time.monotonic() - plan.started)

    async def _fit(self, plan: Plan, free: Sequence[Option]) -> tuple[list[float], str | None]:
        """`nlp` of each; 1 where it could not be measured, and why not."""
        judge = plan.bundle.discriminator
        even = [1.0] * len(free)
        if judge is None:
            return even, "rerank:no_discriminator"
        pairs = [Pair(plan.prompt(o.arm), o.text or "", plan.adapter[0]) for o in free]
        try:
            async with asyncio.timeout(self._left_s(plan, SCORE_SHARE)):
                scores = await self._writer.score(pairs, plan.adapter[1])
        except (UnavailableError, TimeoutError):
            return even, "rerank:unscored"
        replies = [pair.reply for pair in pairs]
        near = await asyncio.to_thread(self._reader.similarity, plan.reading, replies)
        features = np.column_stack([np.array(scores), near])
        return [float(value) for value in judge.predict(features)], None


def _asking(plan: Plan) -> list[Option]:
    """The approved reply that asks what was meant; none where that arm is switched off."""
    served = plan.bundle.menu(plan.party.agent_id).served
    return [
        Option(arm, plan.library_reply(arm), "library") for arm in served if arm.name == "clarify"
    ]


def _given_up(plan: Plan, reason: str) -> Plan:
    """Go on as `arm_first`, under the arm drawn before, and say so."""
    degraded = joined_reasons(plan.degraded, reason)
    return adapted(replace(plan, mode="arm_first", degraded=degraded))
