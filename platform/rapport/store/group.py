"""Group commit: concurrent callers share one transaction, each waits for its own rows."""

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from rapport.errors import UnavailableError
from rapport.store.records import Episode, Record, records
from rapport.store.store import Store

Rows: TypeAlias = Sequence[tuple[str, Mapping[str, Any]]]
Flags: TypeAlias = tuple[bool, ...]


@dataclass(frozen=True)
class _Request:
    batch: tuple[Record, ...]
    episodes: tuple[Episode, ...]
    done: Future[Flags] = field(default_factory=Future)


class GroupCommitter:
    """Commit rows of concurrent callers together; no caller returns before its rows are on disk.

    While one transaction is being written, what arrives waits and goes into the next one (at
    most `batch` callers). Under load one flush to disk serves many callers, and a lone caller
    waits for nobody. When a transaction fails, nothing of it was written and each of its callers
    gets the error. Thread-safe; close it, or use it as a context manager.
    """

    def __init__(self, store: Store, *, capacity: int = 1024, batch: int = 128) -> None:
        self._store, self._capacity, self._batch = store, capacity, batch
        self._waiting: deque[_Request] = deque()
        self._change = threading.Condition()
        self._writing = self._closed = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="group-commit")

    def commit(self, rows: Rows, *, episodes: Sequence[Episode] = ()) -> Flags:
        """Commit as `Store.commit` does; for use from threads.

        Raises:
            RowError: A row does not fit its schema; nothing of this call was written.
            UnavailableError: The store does not answer, or too many callers wait already.
        """
        return self._submitted(rows, episodes).result()

    async def commit_async(self, rows: Rows, *, episodes: Sequence[Episode] = ()) -> Flags:
        """Commit as `commit` does without holding the event loop up.

        A cancelled caller stops waiting; its rows are written all the same.
        """
        return await asyncio.wrap_future(self._submitted(rows, episodes))

    def close(self) -> None:
        """Refuse new rows, write those that wait, stop the writing thread."""
        with self._change:
            self._closed = True
            self._change.wait_for(lambda: not self._writing)
        self._writer.shutdown()

    def __enter__(self) -> "GroupCommitter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submitted(self, rows: Rows, episodes: Sequence[Episode]) -> Future[Flags]:
        request = _Request(records(rows), tuple(episodes))
        request.done.set_running_or_notify_cancel()  # from here on it cannot be cancelled
        with self._change:
            if self._closed:
                raise UnavailableError("the store is closing")
            if len(self._waiting) >= self._capacity:
                raise UnavailableError("too many rows wait for the store")
            self._waiting.append(request)
            if not self._writing:
                self._writing = True
                self._start()
        return request.done

    def _start(self) -> None:
        size = min(len(self._waiting), self._batch)
        group = [self._waiting.popleft() for _ in range(size)]
        batches = [(request.batch, request.episodes) for request in group]
        written = self._writer.submit(self._store.write, batches)
        written.add_done_callback(partial(self._finish, group))

    def _finish(self, group: Sequence[_Request], written: Future[list[Flags]]) -> None:
        # The next transaction starts first: callers need not be awake for it.
        with self._change:
            self._writing = bool(self._waiting)
            if self._writing:
                self._start()
            else:
                self._change.notify_all()
        error = written.exception()
        for place, request in enumerate(group):
            if error is None:
                request.done.set_result(written.result()[place])
            else:
                request.done.set_exception(error)
