"""Mode `rerank`: k replies are written under k arms, scored, and one of them is drawn."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from rapport.arms import Arm
from rapport.errors import UnavailableError
from rapport.language.engine import Delta, GenerationRequest

from .persona_model import Pair
from .plan import Plan
from .planner import may_explore
from .reading import Reader
from .reranker import Reranker

CANDIDATES = 3
DEADLINE_S = 60.0


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

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer, self._reader, self._reranker = writer, reader, Reranker()

    async def rank(self, plan: Plan) -> Plan:
        """Write the candidates and draw one; it is then ready to be said.

        Candidates the output guard refuses leave the set first. With fewer than two left the
        plan goes on as `arm_first`.
        """
        agent, strategies = plan.party.agent_id, plan.bundle.strategies
        if strategies is None:
            return replace(plan, mode="arm_first")
        arms = self._reranker.best_arms(plan.bundle, plan.case(), agent=agent, k=CANDIDATES)
        try:
            async with asyncio.timeout(DEADLINE_S):
                texts = await asyncio.gather(*(self._write(plan, arm) for arm in arms))
                kept = [
                    (arm, text)
                    for arm, text in zip(arms, texts, strict=True)
                    if self._reader.fault(text) is None
                ]
                if len(kept) < 2:
                    return replace(plan, mode="arm_first")
                nlp = await self._fit(plan, kept)
        except (UnavailableError, TimeoutError):
            return replace(plan, mode="arm_first")
        written = [text for _, text in kept]
        draw = self._reranker.draw_reply(
            plan.bundle,
            plan.case(),
            arms=[arm for arm, _ in kept],
            nlp=nlp,
            shown=self._reader.shown(written, strategies, plan.bundle.layout),
            explore=may_explore(plan),
        )
        return replace(plan, draw=draw, ready=written[draw.index], texts=tuple(written))

    async def _write(self, plan: Plan, arm: Arm) -> str:
        deltas = self._writer.stream(plan.request(arm), plan.adapter[1])
        return "".join([delta.text async for delta in deltas]).strip()

    async def _fit(self, plan: Plan, kept: Sequence[tuple[Arm, str]]) -> list[float]:
        judge = plan.bundle.discriminator
        if judge is None:
            return [1.0] * len(kept)
        pairs = [Pair(plan.prompt(arm), text, plan.adapter[0]) for arm, text in kept]
        scores = await self._writer.score(pairs, plan.adapter[1])
        near = self._reader.similarity(plan.reading, [text for _, text in kept])
        features = np.column_stack([np.array(scores), near])
        return [float(value) for value in judge.predict(features)]
