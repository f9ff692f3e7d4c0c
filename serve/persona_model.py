"""The node that writes replies: one language model, every persona's adapter, one engine thread."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rapport.errors import RapportError, UnavailableError
from rapport.language.engine import Delta, Engine, GenerationRequest
from rapport.language.prompts import Message

MAX_WAITING = 64
IDLE_S = 0.05
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A reply under a prompt, to be scored."""

    prompt: Sequence[Message]
    reply: str
    adapter: str | None = None


class PersonaModel:
    """Write and score replies with any adapter, many requests in one batch.

    The engine runs in this object's own thread and takes new requests between two tokens; `stream`
    and `score` are called from the event loop. Adapters load from their release's folder when
    first asked for and are named by it, so two releases can be served side by side during a swap;
    their files are read beside the engine's thread, and taken in between two tokens.
    At most `MAX_WAITING` replies are open; past that a caller is refused at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self._sinks: dict[str, Callable[[Delta | Exception], None]] = {}
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    async def stream(
        self, request: GenerationRequest, adapter_folder: str | None = None
    ) -> AsyncIterator[Delta]:
        """Yield a reply's deltas as they are made; the last one carries `finish`.

        Leaving the iterator early stops the writing.

        Raises:
            UnavailableError: Too many replies are open, or the engine cannot write this one.
        """
        await self._read_ahead({request.adapter}, adapter_folder)
        if len(self._sinks) >= MAX_WAITING:
            raise UnavailableError("too many replies are being written; try again")
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[Delta | Exception]()

        def sink(piece: Delta | Exception) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, piece)

        self._sinks[request.request_id] = sink
        self._calls.put(lambda: self._submit(request, adapter_folder))
        try:
            while True:
                piece = await arrived.get()
                if isinstance(piece, Exception):
                    raise UnavailableError(f"the reply could not be written: {piece}") from piece
                yield piece
                if piece.finish:
                    return
        finally:
            self._sinks.pop(request.request_id, None)
            self._engine.cancel(request.request_id)

    async def score(
        self, pairs: Sequence[Pair], adapter_folder: str | None = None
    ) -> list[tuple[float, float]]:
        """Score pairs: log-likelihood a token given the prompt, and its gain over none.

        The gain is against a prompt of the system messages only.
        """

        def both() -> list[tuple[float, float]]:
            self._hold({pair.adapter for pair in pairs}, adapter_folder)
            names = [pair.adapter for pair in pairs] * 2
            bare = [[m for m in pair.prompt if m["role"] == "system"] for pair in pairs]
            replies = [pair.reply for pair in pairs] * 2
            scores = self._engine.score(
                [*(pair.prompt for pair in pairs), *bare], replies, adapters=names
            ).per_token.tolist()
            n = len(pairs)
            return [(scores[i], scores[i] - scores[n + i]) for i in range(n)]

        await self._read_ahead({pair.adapter for pair in pairs}, adapter_folder)
        return await asyncio.wrap_future(self._ask(both))

    async def _read_ahead(self, names: set[str | None], folder: str | None) -> None:
        if not folder or not names - {None, *self._engine.adapters}:
            return
        with contextlib.suppress(RapportError):  # adding it says what is wrong
            await asyncio.to_thread(self._engine.read_ahead, Path(folder))

    def _ask(self, call: Callable[[], T]) -> "Future[T]":
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(call())
            except (RapportError, RuntimeError) as error:
                answer.set_exception(error)

        self._calls.put(run)
        return answer

    def _submit(self, request: GenerationRequest, adapter_folder: str | None) -> None:
        try:
            self._hold({request.adapter}, adapter_folder)
            self._engine.submit(request)
        except (RapportError, RuntimeError) as error:
            self._tell(request.request_id, error)

    def _hold(self, names: set[str | None], folder: str | None) -> None:
        for name in names - {None, *self._engine.adapters}:
            if name and folder:
                self._engine.add_adapter(name, Path(folder))

    def _tell(self, request_id: str, piece: Delta | Exception) -> None:
        sink = self._sinks.get(request_id)
        if sink:
            sink(piece)

    def _run(self) -> None:
        while True:
            self._take_calls(block=not self._engine.busy)
            if not self._engine.busy:
                continue
            try:
                for delta in self._engine.step():
                    self._tell(delta.request_id, delta)
            except RuntimeError as error:  # torch: out of memory, a bad shape
                for request_id in list(self._sinks):
                    self._tell(request_id, error)
                    self._engine.cancel(request_id)

    def _take_calls(self, *, block: bool) -> None:
        try:
            self._calls.get(timeout=IDLE_S if block else 0)()
            while True:
                self._calls.get_nowait()()
        except queue.Empty:
            return
