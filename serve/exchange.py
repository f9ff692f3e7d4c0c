"""One exchange: a message comes in, a reply is chosen, its decision is on disk before it leaves.

guard in -> whose episode -> what the message says -> which persona -> which arm, or which of
k candidates -> the reply -> guard out -> `ledger.py`: decision, turns and outbox in one transaction
"""

import asyncio
import time
from collections.abc import AsyncIterator

from rapport.errors import ServingError, UnavailableError
from rapport.governance.guard import crisis_reply
from rapport.language.engine import GenerationRequest
from rapport.store import Store

from .answer import Answer, Usage
from .bundle import Bundles
from .ledger import Ledger
from .minds import Minds
from .parties import Parties
from .plan import Plan, Speech
from .planner import Planner
from .ranking import Ranking, Writer
from .reading import Reader
from .rows import response_block
from .wire import ChatRequest

DEADLINE_S = 60.0
CHUNK_S = 0.05
"""Text of so long goes out together: one chunk a token costs four times the throughput."""
GUARD_EVERY = 200
"""Characters of a streamed reply between two looks of the output guard."""


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
    ) -> None:
        self.store, self.bundles, self._ledger = store, bundles, ledger
        self._reader, self._minds, self._parties, self._writer = reader, minds, parties, writer
        self._planner = Planner(minds, explore=explore)
        self._ranking = Ranking(writer, reader)

    async def answer(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Answer:
        """Choose a reply and start saying it.

        Raises:
            ServingError: The request asks for what cannot be.
            UnavailableError: The store is down; nothing is half-done.
        """
        plan = await asyncio.to_thread(self._plan, tenant, asked, header_user)
        if plan.mode == "rerank" and plan.ready is None:
            plan = await self._ranking.rank(plan)
        speech = Speech(delivered=plan.delivered, usage=Usage())
        if asked.stream:
            await self._ledger.open(plan, speech)
            pieces = self._streamed(plan, speech)
        else:
            pieces = _once(await self._whole(plan, speech))
        return Answer(
            inference_id=plan.decision_id,
            model=asked.model,
            block=lambda: response_block(plan, speech),
            pieces=pieces,
            usage=speech.usage,
        )

    def model_names(self) -> list[str]:
        """Return what `model` may name."""
        bundle, base = self.bundles.now, self._parties.base_model
        personas = [name for name in bundle.layout.personas if bundle.release_id]
        adapters = [f"{base}:{name}" for name in bundle.adapters]
        return ["rapport", *(f"rapport:{name}" for name in personas), base, *adapters]

    def _plan(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Plan:
        started = time.monotonic()
        said = next((m.text for m in reversed(asked.messages) if m.role == "user"), "")
        if not said.strip():
            raise ServingError("messages: there is no user message with text", "messages")
        if asked.model not in self.model_names():
            raise ServingError(f"model {asked.model!r} is not served; see /v1/models", "model")
        bundle = self.bundles.now
        party = self._parties.party(tenant, asked, header_user)
        episode = self._parties.episode(party, asked)
        party = self._parties.settled(party, episode)
        reading = self._reader.read(said)
        plan = Plan(
            asked=asked,
            bundle=bundle,
            party=party,
            episode=episode,
            reading=reading,
            said=said,
            base_model=self._parties.base_model,
            started=started,
        )
        if reading.verdict.kind == "crisis":
            return plan.in_crisis(crisis_reply(party.groups.get("jurisdiction")))
        return self._planner.decided(plan)

    async def _whole(self, plan: Plan, speech: Speech) -> str:
        """Write, guard and commit; only then is there a text to send."""
        if plan.ready is not None:
            speech.text = plan.ready
        else:
            async for _ in self._written(plan, speech):
                pass
        self._guarded(plan, speech)
        await self._ledger.commit(plan, speech)
        self._planner.remember(plan)
        return speech.text

    async def _streamed(self, plan: Plan, speech: Speech) -> AsyncIterator[str]:
        """Say the reply of an opened decision as it is written, guarded on the way."""
        sent, broken_by = "", "failed"
        try:
            if plan.ready is not None:
                speech.text = sent = plan.ready
                yield plan.ready
            else:
                async for piece in self._checked(plan, speech):
                    sent += piece
                    yield piece
            broken_by = ""
        except (GeneratorExit, asyncio.CancelledError):
            broken_by = "client_gone"
            raise
        finally:
            if broken_by:
                speech.cut_off(sent, reason=broken_by)
            self._planner.remember(plan)
            await self._ledger.close(plan, speech)

    async def _checked(self, plan: Plan, speech: Speech) -> AsyncIterator[str]:
        """Let text out as it is made, in chunks; the guard looks every `GUARD_EVERY` characters."""
        sent, seen, last = 0, 0, time.monotonic()
        async for _ in self._written(plan, speech):
            if speech.degraded is None and time.monotonic() - last < CHUNK_S:
                continue
            if len(speech.text) - seen >= GUARD_EVERY:
                seen = len(speech.text)
                if self._reader.fault(speech.text):
                    break
            yield speech.text[sent:]
            sent, last = len(speech.text), time.monotonic()
        replaced = self._guarded(plan, speech)
        if not replaced:
            yield speech.text[sent:]
        else:
            yield ("\n\n" if sent else "") + speech.text

    async def _written(self, plan: Plan, speech: Speech) -> AsyncIterator[str]:
        """Let the engine write; a slow or dead one is answered for by the approved library."""
        request = GenerationRequest(
            request_id=plan.decision_id,
            messages=plan.prompt(),
            adapter=plan.adapter[0],
            sampling=plan.sampling(),
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for delta in self._writer.stream(request, plan.adapter[1]):
                    speech.hear(delta)
                    yield delta.text
        except (UnavailableError, TimeoutError):
            speech.fall_back(plan.library_reply(), reason="engine")

    def _guarded(self, plan: Plan, speech: Speech) -> bool:
        """Replace a reply that must not leave; says whether it did."""
        rule = self._reader.fault(speech.text)
        if rule is None or plan.delivered == "guard_replaced":
            return False
        speech.replace(plan.library_reply(), rule=rule)
        return True


async def _once(text: str) -> AsyncIterator[str]:
    yield text
