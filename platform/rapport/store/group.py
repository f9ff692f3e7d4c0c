"""Group commit: concurrent callers share one transaction, each waits for its own rows."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from rapport.errors import RapportError, StoreDownError
from rapport.store.records import Change, Episode, Rows
from rapport.store.store import Store

Flags: TypeAlias = tuple[bool, ...]


@dataclass(frozen=True)
class _Request:
    change: Change
    done: Future[Flags] = field(default_factory=Future)


class GroupCommitter:
    """Commit rows of concurrent callers together; no caller returns before its rows are on disk.

    While one transaction is being written, what arrives waits and goes into the next one (at
    most `batch` callers). Under load one flush to disk serves many callers, and a lone caller
    waits for nobody. When the store does not answer, nothing was written and each caller gets the
    error; when one caller's rows do not fit the database, the others' are written without them.
    Thread-safe; close it, or use it as a context manager.
    """

    def __init__(
        self,
        store: Store,
        *,
        capacity: int = 1024,
        batch: int = 128,
        seconds: Callable[[float], object] = lambda _seconds: None,
    ) -> None:
        self._store, self._capacity, self._batch = store, capacity, batch
        self._seconds = seconds  # told how long each transaction took that went well
        self._waiting: deque[_Request] = deque()
        self._change = threading.Condition()
        self._writing = 0  # callers whose rows are being written
        self._closed = False
        # Not an executor: those stop at interpreter exit while callers still wait.
        self._writer = threading.Thread(target=self._work, name="group-commit", daemon=True)
        self._writer.start()

    def commit(self, rows: Rows, *, episodes: Sequence[Episode] = ()) -> Flags:
        """Commit as `Store.commit` does; for use from threads.

        Raises:
            RowError: A row does not fit its schema; nothing of this call was written.
            StoreDownError: The store does not answer, or too many callers wait already.
        """
        return self._submitted(Change.of(rows, episodes=episodes)).result()

    async def commit_async(self, rows: Rows, *, episodes: Sequence[Episode] = ()) -> Flags:
        """Commit as `commit` does without holding the event loop up.

        A cancelled caller stops waiting; its rows are written all the same.
        """
        return await self.write_async(Change.of(rows, episodes=episodes))

    def write(self, change: Change) -> Flags:
        """Write a change that is checked already, as `commit` does."""
        return self._submitted(change).result()

    async def write_async(self, change: Change) -> Flags:
        """Write a change that is checked already, as `commit_async` does."""
        return await asyncio.wrap_future(self._submitted(change))

    def close(self) -> None:
        """Refuse new rows, write those that wait, stop the writing thread."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._writer.join()

    def __enter__(self) -> "GroupCommitter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submitted(self, change: Change) -> Future[Flags]:
        request = _Request(change)
        request.done.set_running_or_notify_cancel()  # from here on it cannot be cancelled
        with self._change:
            if self._closed or not self._writer.is_alive():
                raise StoreDownError("the store is closed")
            if len(self._waiting) >= self._capacity:
                raise StoreDownError("too many rows wait for the store")
            self._waiting.append(request)
            self._change.notify()
        return request.done

    def _work(self) -> None:
        while group := self._next_group():
            self._write(group)

    def _next_group(self) -> list[_Request]:
        with self._change:
            self._writing = 0
            self._change.wait_for(lambda: self._waiting or self._closed)
            self._writing = min(len(self._waiting), self._batch)
            return [self._waiting.popleft() for _ in range(self._writing)]

    def _write(self, group: Sequence[_Request]) -> None:
        try:
            begun = time.perf_counter()
            answers = self._store.write([request.change for request in group])
            self._seconds(time.perf_counter() - begun)
            for request, flags in zip(group, answers, strict=True):
                request.done.set_result(flags)
        except (RapportError, SQLAlchemyError) as error:
            if len(group) > 1 and not isinstance(error, StoreDownError):
                for request in group:  # somebody's rows are at fault: the others' are not
                    self._write([request])
            else:
                for request in group:
                    request.done.set_exception(error)
        finally:  # after a fault of ours the thread ends, and nobody may wait for it
            for request in group:
                if not request.done.done():
                    request.done.set_exception(StoreDownError("the store's writer failed"))
