"""The committing side of an exchange: what is promised is on disk before it is said.

whole reply:    decision, both turns, outbox in one transaction, then the answer
streamed reply: decision and user's turn, then the first token ... then decision as it ended, reply
"""

import asyncio
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from rapport.errors import RapportError, UnavailableError
from rapport.store import Change, Episode, GroupCommitter, Store

from .parties import Parties
from .plan import Plan
from .rows import decision_row, mind_after, reply_turn, user_turn
from .speech import Speech

LATE = 1024
"""Ends of replies kept for a store that does not answer; past that the oldest is given up."""


class Ledger:
    """Write decisions and their turns through the group commit of this process."""

    def __init__(
        self, committer: GroupCommitter, parties: Parties, *, encoder_id: str, lease_s: float
    ) -> None:
        self._committer, self._parties, self._encoder_id = committer, parties, encoder_id
        self._lease = timedelta(seconds=lease_s)
        self._closing: set[asyncio.Task[None]] = set()
        self._open: set[str] = set()
        self._late: deque[tuple[str, Change]] = deque(maxlen=LATE)

    async def commit(self, plan: Plan, speech: Speech) -> None:
        """Write a whole exchange.

        Raises:
            UnavailableError: The store does not answer; nothing was written.
        """
        if not plan.leaves_nothing:
            await self._committer.write_async(await asyncio.to_thread(self._whole, plan, speech))

    async def open(self, plan: Plan, speech: Speech) -> None:
        """Write the decision and the user's turn before the first token of a streamed reply.

        A deferred decision waits for its client, not for this process.

        Raises:
            UnavailableError: The store does not answer; nothing was written.
        """
        if plan.leaves_nothing:
            return
        await self._committer.write_async(await asyncio.to_thread(self._opening, plan, speech))
        if not plan.deferred:
            self._open.add(plan.decision_id)

    async def close(self, plan: Plan, speech: Speech) -> None:
        """Write a streamed reply as it ended; goes on when the caller is cancelled.

        Where the store does not answer any more the stream ends well all the same: what was said
        cannot be taken back. Its end is written once the store is there again.
        """
        if plan.leaves_nothing:
            return
        task = asyncio.ensure_future(self._close(plan, speech))
        self._closing.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    def keep_open(self, store: Store) -> None:
        """Write ends that are late, and say which replies are still being said.

        Raises:
            UnavailableError: The store does not answer.
        """
        while self._late:
            name, change = self._late.popleft()
            self._open.discard(name)
            try:
                self._committer.write(change)
            except UnavailableError:
                self._late.appendleft((name, change))
                self._open.add(name)
                raise
        if self._open:
            store.keep_open(tuple(self._open), until=datetime.now(UTC) + self._lease)

    async def _close(self, plan: Plan, speech: Speech) -> None:
        change = await asyncio.to_thread(self._ending, plan, speech)
        try:
            await self._committer.write_async(change)
        except UnavailableError:
            if len(self._late) == LATE:
                self._open.discard(self._late[0][0])
            self._late.append((plan.decision_id, change))
        else:
            self._open.discard(plan.decision_id)

    def _whole(self, plan: Plan, speech: Speech) -> Change:
        rows = [*_said(plan), *_replied(plan, speech)]
        rows.insert(0, ("decisions", decision_row(plan, speech)))
        return Change.of(
            rows,
            episodes=self._continued(plan, speech),
            minds=mind_after(plan, self._encoder_id),
        )

    def _opening(self, plan: Plan, speech: Speech) -> Change:
        return Change.of(
            _said(plan),
            opens=decision_row(plan, speech),
            until=self._until(plan),
            minds=mind_after(plan, self._encoder_id),
        )

    def _until(self, plan: Plan) -> datetime | None:
        """When the decision is abandoned unless somebody asks for longer; none for the default."""
        lease: timedelta | None = self._lease
        if plan.deferred:
            lease = timedelta(seconds=plan.event.wait_s) if plan.event else None
        return datetime.now(UTC) + lease if lease else None

    def _ending(self, plan: Plan, speech: Speech) -> Change:
        return Change.of(
            _replied(plan, speech),
            closes=decision_row(plan, speech),
            episodes=self._continued(plan, speech),
        )

    def _continued(self, plan: Plan, speech: Speech) -> list[Episode]:
        """Where the conversation stands, unless nobody told us what was said."""
        told = bool(speech.text) or speech.delivered == "tool_call"
        return [self._parties.continued(plan, speech.text)] if told else []


class Keeper:
    """Keeps open what is being said, and closes what processes that died had begun to say.

    Looks at once, then four times a lease, in a thread of its own. Several gateways over one
    store may all close the same decision: it is closed once.
    """

    def __init__(self, ledger: Ledger, store: Store, *, lease_s: float) -> None:
        self._ledger, self._store, self._pause_s = ledger, store, lease_s / 4
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look once; what the store cannot do now, the next look does."""
        try:
            self._ledger.keep_open(self._store)
            self._store.close_abandoned(datetime.now(UTC))
        except (RapportError, SQLAlchemyError):
            return

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        self.look()
        while not self._stop.wait(self._pause_s):
            self.look()


def _said(plan: Plan) -> list[tuple[str, dict[str, Any]]]:
    """The user's turn; none where he said nothing since a tool was called for him."""
    return [("turns", user_turn(plan))] if plan.asked.speaks else []


def _replied(plan: Plan, speech: Speech) -> list[tuple[str, dict[str, Any]]]:
    """The reply's turn; a call of a tool without a word is none."""
    silent = not speech.text and speech.delivered == "tool_call"
    return [] if silent else [("turns", reply_turn(plan, speech))]
