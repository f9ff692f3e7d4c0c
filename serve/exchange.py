"""One exchange: a message comes in, a reply is chosen, its decision is on disk before it leaves.

guard in -> whose episode -> what the message says -> which persona -> which arm, or which of
k candidates -> the reply -> guard out -> `ledger.py`: decision, turns and outbox in one transaction
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from rapport.errors import StoreDownError
from rapport.store import Store

from .answer import Answer
from .builtin import check_builtin
from .bundle import Bundles
from .hearing import Hearing
from .holding import Chunk
from .ledger import Ledger
from .minds import Minds
from .parties import Parties
from .plan import Plan
from .planner import Planner
from .ranking import Ranking, Writer
from .reading import Reader
from .rows import response_block
from .saying import DEADLINE_S, Saying
from .speech import Speech
from .wire import ChatRequest, Mode


class Exchanges:
    """Answer messages. Shared by all requests of a replica."""

    def __init__(  # noqa: PLR0913  the whole graph meets here
        self,
        *,
        bundles: Bundles,
        store: Store,
        reader: Reader,
        minds: Minds,
        parties: Parties,
        ledger: Ledger,
        writer: Writer,
        explore: float | None = None,
        mode: Mode | None = None,
        upstream: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.store, self.bundles, self.ledger = store, bundles, ledger
        self.reader, self._parties = reader, parties
        self.hearing = Hearing(
            bundles=bundles, store=store, reader=reader, parties=parties, upstream=upstream
        )
        self.planner = Planner(minds, explore=explore, mode=mode)
        self._upstream = upstream
        self._ranking = Ranking(writer, reader, deadline_s=deadline_s)
        self._saying = Saying(writer, reader, deadline_s=deadline_s)

    async def answer(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Answer:
        """Choose a reply and start saying it.

        While the store does not answer, a tenant who set `on_store_failure: pass_through` gets the
        plain reply, guarded as ever: no arm, no `decision_id`, and nothing kept of it.

        Raises:
            ServingError: The request asks for what cannot be.
            StoreDownError: The store is down; nothing is half-done.
        """
        try:
            plan = await asyncio.to_thread(self._decided, tenant, asked, header_user)
            if plan.mode == "rerank" and plan.ready is None:
                plan = await self._ranking.rank(plan)
            return await self._said(plan)
        except StoreDownError:
            if not self._parties.passes_through(tenant):
                raise
            plan = await asyncio.to_thread(self._unlogged, tenant, asked, header_user)
            return await self._said(plan)

    async def _said(self, plan: Plan) -> Answer:
        asked = plan.asked
        field = "refusal" if asked.turn == "structured" and not plan.crisis else "content"
        speech = Speech(delivered=plan.delivered, field=field)
        chunks = None
        if asked.stream:
            batches = self._streamed(plan, speech)
            chunks = _with_first(await anext(batches), batches)
        else:
            await self._saying.whole(plan, speech)
            await self.ledger.commit(plan, speech)
        return Answer(
            inference_id=plan.decision_id,
            model=asked.model,
            block=lambda: response_block(plan, speech),
            speech=speech,
            chunks=chunks,
        )

    def _decided(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Plan:
        if self._upstream is None:
            check_builtin(asked)
        plan = self.hearing.heard(tenant, asked, header_user, silent=self._upstream is not None)
        if plan.crisis:
            return plan
        if self._upstream:
            plan = replace(plan, upstream=self._upstream, origin="upstream")
        return self.planner.decided(plan)

    def _unlogged(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Plan:
        """Plan the plain reply while nothing can be read from the store or written there."""
        hearing, silent = self.hearing.without_store(), self._upstream is not None
        plan = hearing.taken(tenant, asked, header_user, silent=silent)
        return replace(plan, unlogged=True)

    async def _streamed(self, plan: Plan, speech: Speech) -> AsyncGenerator[Sequence[Chunk]]:
        """Open the decision once the engine has answered, then let the reply out as it comes.

        The caller takes the first batch before it answers anything, so that what cannot be
        answered becomes an error and no stream.
        """
        chunks = self._saying.streamed(plan, speech)
        opened, broken_by = False, "failed"
        try:
            async for batch in chunks:
                if not opened:
                    await self.ledger.open(plan, speech)
                opened = True
                yield batch
            broken_by = ""
        except (GeneratorExit, asyncio.CancelledError):
            broken_by = "client_gone"
            raise
        finally:
            await chunks.aclose()
            if broken_by:
                speech.cut_off(reason=broken_by)
            if opened:
                await self.ledger.close(plan, speech)


async def _with_first(
    first: Sequence[Chunk], rest: AsyncGenerator[Sequence[Chunk]]
) -> AsyncIterator[Sequence[Chunk]]:
    try:
        yield first
        async for batch in rest:
            yield batch
    finally:
        await rest.aclose()
