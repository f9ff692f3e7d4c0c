"""The writing of one answer: engines write, the guard reads, and only then something leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from rapport.errors import UnavailableError, UpstreamDownError, UpstreamSetupError
from rapport.governance.disclosure import asks_what_it_is, discloses
from rapport.language.engine import Delta, GenerationRequest

from .holding import CHUNK_S, Chunk, Holding, choice, readable
from .plan import Plan
from .ranking import Writer
from .reading import Reader
from .speech import Sample, Speech

DEADLINE_S = 60.0
"""Seconds from the arrival of a message to the end of its answer."""
MAX_WAITING = 256
"""Deltas that wait for whoever reads them; past that the engine waits."""
UNDISCLOSED = "undisclosed:asked"
"""Rule of a reply that does not say what writes it, though it was asked."""
_FORM = frozenset({"pii", "degenerate"})
"""Faults that JSON or a call of a tool may well have: an address to fill in, many braces."""

_Arrival = Delta | UnavailableError | None


class Saying:
    """Write replies with the engine, and say what stands in for it where it cannot."""

    def __init__(self, writer: Writer, reader: Reader, *, deadline_s: float = DEADLINE_S) -> None:
        self._writer, self._reader, self._deadline_s = writer, reader, deadline_s

    async def whole(self, plan: Plan, speech: Speech) -> None:
        """Write and guard all replies.

        Raises:
            ServingError: The engine refused the request, or failed where nothing can stand in.
        """
        speech.sample(plan.asked.n - 1)
        failed = None
        async for arrived in self._arriving(plan):
            if isinstance(arrived, Delta):
                speech.hear(arrived)
            failed = arrived if isinstance(arrived, UnavailableError) else failed
        for index, sample in enumerate(speech.samples):
            if failed and sample.finish is None:
                reason = _reason(plan, speech, failed)
                speech.fall_back(index, plan.stand_in(), reason=reason)
            if index and sample.is_missing:
                continue
            rule = self._fault(plan, sample, ended=True)
            if rule:
                speech.replace(index, plan.stand_in(), rule=rule)

    async def streamed(self, plan: Plan, speech: Speech) -> AsyncGenerator[Sequence[Chunk]]:
        """Yield batches of chunks that may leave, the first as soon as there is anything.

        Raises:
            ServingError: The engine refused the request, or failed where nothing can stand in.
        """
        speech.sample(plan.asked.n - 1)
        held = Holding(
            speech,
            fault=lambda sample, ended: self._fault(plan, sample, ended=ended),
            stand_in=plan.stand_in,
        )
        failed = None
        if plan.upstream is None or plan.ready is not None:
            for index in range(plan.asked.n):
                held.put(choice(index, {"role": "assistant", "content": ""}))
            yield held.release()
        async with aclosing(self._arriving(plan)) as arriving:
            async for arrived in arriving:
                if isinstance(arrived, Delta):
                    speech.hear(arrived)
                    for chunk in _chunks(plan, arrived):
                        held.put(chunk)
                failed = arrived if isinstance(arrived, UnavailableError) else failed
                if held.due:
                    yield held.release()
                if all(sample.replaced for sample in speech.samples):
                    break
        if failed:
            yield held.break_off(reason=_reason(plan, speech, failed))
        yield held.release(ended=True)

    async def _arriving(self, plan: Plan) -> AsyncGenerator[_Arrival]:
        """What comes, in its order: also that the engine failed; none says that time passed."""
        first = 0
        if plan.ready is not None:
            first = plan.asked.n if plan.origin == "library" else 1
            for index in range(first):
                fixed = plan.ready if index == 0 or plan.crisis else plan.library_reply()
                yield _ready(plan, index, fixed)
        requests = plan.requests(first=first)
        left_s = self._deadline_s - (time.monotonic() - plan.started)
        queue: asyncio.Queue[_Arrival] = asyncio.Queue(MAX_WAITING)
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
        queue: asyncio.Queue[_Arrival],
        left_s: float,
    ) -> None:
        try:
            async with asyncio.timeout(left_s):
                async for delta in self._writer.stream(request, folder):
                    await queue.put(_numbered(delta, index) if index else delta)
        except UnavailableError as error:
            await queue.put(error)
        except TimeoutError:
            late = UnavailableError("the reply could not be written in time; try again")
            await queue.put(UpstreamDownError("slow") if request.wire else late)
        finally:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(None)  # whoever waits looks up

    def _fault(self, plan: Plan, sample: Sample, *, ended: bool) -> str | None:
        """Name what keeps a reply from leaving; of one whose form was asked for, harm alone does.

        That a reply is empty is no fault before its end, nor where it calls a tool or passes from
        an upstream unchanged; nor is it one there that it does not say what writes it.
        """
        if plan.delivered == "guard_replaced":
            return None
        kind, _, name = (
            self._reader.fault(sample.read if ended else readable(sample.read)) or ""
        ).partition(":")
        passes = sample.calls_tool or (plan.upstream is not None and plan.arm is None)
        if kind == "empty" and (passes or not ended):
            return None
        if kind in _FORM and plan.asked.turn != "text":
            return None
        if kind:
            return f"{kind}:{name}"
        return UNDISCLOSED if ended and not passes and _hides(plan, sample.read) else None


def _hides(plan: Plan, reply: str) -> bool:
    """Whether somebody asks if a person answers, and the reply does not say that none does."""
    return plan.asked.turn == "text" and asks_what_it_is(plan.said) and not discloses(reply)


def _ready(plan: Plan, index: int, text: str) -> Delta:
    return Delta(
        request_id=plan.decision_id,
        text=text,
        finish="stop",
        tokens_in=0,
        tokens_out=0,
        index=index,
    )


def _chunks(plan: Plan, delta: Delta) -> list[Chunk]:
    """What one delta adds to the stream; usage that only we asked for is kept to ourselves."""
    if delta.chunk is None:
        return [_chunk(delta)]
    chunk = delta.chunk
    if plan.arm is None or plan.asked.stream_options.include_usage or "usage" not in chunk:
        return [chunk]
    rest = {name: value for name, value in chunk.items() if name != "usage"}
    return [rest] if rest["choices"] else []


def _numbered(delta: Delta, index: int) -> Delta:
    """The one reply to a request of its own as the sample that it is."""
    if delta.chunk is None:
        return replace(delta, index=index)
    choices = [{**found, "index": index} for found in delta.chunk["choices"]]
    return replace(delta, index=index, chunk={**delta.chunk, "choices": choices})


def _reason(plan: Plan, speech: Speech, error: UnavailableError) -> str:
    """What `degraded` says of a failure that an approved reply stands in for.

    Raises:
        UnavailableError: None can: a tool is to be called, JSON to be written, or it is the
            operator who must act.
    """
    called = any(sample.calls_tool for sample in speech.samples)
    if called or plan.asked.turn != "text" or isinstance(error, UpstreamSetupError):
        raise error
    if isinstance(error, UpstreamDownError):
        return f"upstream:{error.reason.replace(' ', '_')}"
    return "engine"


def _chunk(delta: Delta) -> Chunk:
    finish = {None: None, "length": "length"}.get(delta.finish, "stop")
    said = {"content": delta.text} if delta.text else {}
    return choice(delta.index, said, finish=finish)


async def _next(queue: asyncio.Queue[_Arrival]) -> _Arrival:
    if not queue.empty():
        return queue.get_nowait()
    try:
        async with asyncio.timeout(CHUNK_S):
            return await queue.get()
    except TimeoutError:
        return None
