"""The writing of one answer: engines write, the guard reads, and only then something leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from rapport.errors import UnavailableError
from rapport.language.engine import Delta, GenerationRequest

from .holding import CHUNK_S, Chunk, Holding, choice
from .plan import Plan
from .ranking import Writer
from .reading import Reader
from .speech import Sample, Speech

DEADLINE_S = 60.0
"""Seconds from the arrival of a message to the end of its answer."""
MAX_WAITING = 256
"""Deltas that wait for whoever reads them; past that the engine waits."""


class Saying:
    """Write replies with the engine, and say what stands in for it where it cannot."""

    def __init__(self, writer: Writer, reader: Reader, *, deadline_s: float = DEADLINE_S) -> None:
        self._writer, self._reader, self._deadline_s = writer, reader, deadline_s

    async def whole(self, plan: Plan, speech: Speech) -> None:
        """Write and guard all replies.

        Raises:
            ServingError: The engine refused the request.
        """
        speech.sample(plan.asked.n - 1)
        failed = None
        async for arrived in self._arriving(plan):
            if isinstance(arrived, Delta):
                speech.hear(arrived)
            failed = arrived if isinstance(arrived, str) else failed
        for index, sample in enumerate(speech.samples):
            if failed and sample.finish is None:
                speech.fall_back(index, plan.library_reply(), reason=failed)
            rule = self._fault(plan, sample, ended=True)
            if rule:
                speech.replace(index, plan.library_reply(), rule=rule)

    async def streamed(self, plan: Plan, speech: Speech) -> AsyncGenerator[Sequence[Chunk]]:
        """Yield batches of chunks that may leave, the first as soon as there is anything.

        Raises:
            ServingError: The engine refused the request.
        """
        held = Holding(
            speech,
            fault=lambda sample, ended: self._fault(plan, sample, ended=ended),
            stand_in=plan.library_reply,
        )
        failed = None
        for index in range(plan.asked.n):
            held.put(choice(index, {"role": "assistant", "content": ""}))
        yield held.release()
        async with aclosing(self._arriving(plan)) as arriving:
            async for arrived in arriving:
                if isinstance(arrived, Delta):
                    speech.hear(arrived)
                    held.put(_chunk(arrived))
                failed = arrived if isinstance(arrived, str) else failed
                if held.due:
                    yield held.release()
                if all(sample.replaced for sample in speech.samples):
                    break
        if failed:
            yield held.break_off(reason=failed)
        yield held.release(ended=True)

    async def _arriving(self, plan: Plan) -> AsyncGenerator[Delta | str | None]:
        """What comes, in its order; a text says why the engine failed, none that time passed."""
        first = 0
        if plan.ready is not None:
            first = plan.asked.n if plan.origin == "library" else 1
            for index in range(first):
                fixed = plan.ready if index == 0 or plan.crisis else plan.library_reply()
                yield _ready(plan, index, fixed)
        requests = plan.requests(first=first)
        left_s = self._deadline_s - (time.monotonic() - plan.started)
        queue: asyncio.Queue[Delta | str | None] = asyncio.Queue(MAX_WAITING)
        tasks = [
            asyncio.create_task(self._write(request, first + i, plan.adapter[1], queue, left_s))
            for i, request in enumerate(requests)
        ]
        try:
            while not (queue.empty() and all(task.done() for task in tasks)):
                yield await _next(queue)
            for task in tasks:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(
        self,
        request: GenerationRequest,
        index: int,
        folder: str | None,
        queue: "asyncio.Queue[Delta | str | None]",
        left_s: float,
    ) -> None:
        try:
            async with asyncio.timeout(left_s):
                async for delta in self._writer.stream(request, folder):
                    await queue.put(replace(delta, index=index) if index else delta)
        except (UnavailableError, TimeoutError):
            await queue.put("engine")
        finally:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(None)  # whoever waits looks up

    def _fault(self, plan: Plan, sample: Sample, *, ended: bool) -> str | None:
        """Name what keeps a reply from leaving; that it is still empty is none before its end."""
        if plan.delivered == "guard_replaced":
            return None
        rule = self._reader.fault(sample.read)
        return None if rule and rule.startswith("empty:") and not ended else rule


def _ready(plan: Plan, index: int, text: str) -> Delta:
    return Delta(
        request_id=plan.decision_id,
        text=text,
        finish="stop",
        tokens_in=0,
        tokens_out=0,
        index=index,
    )


def _chunk(delta: Delta) -> Chunk:
    finish = {None: None, "length": "length"}.get(delta.finish, "stop")
    said = {"content": delta.text} if delta.text else {}
    return choice(delta.index, said, finish=finish)


async def _next(queue: "asyncio.Queue[Delta | str | None]") -> Delta | str | None:
    if not queue.empty():
        return queue.get_nowait()
    try:
        async with asyncio.timeout(CHUNK_S):
            return await queue.get()
    except TimeoutError:
        return None
