"""The committing side of an exchange: what is promised is on disk before it is said.

whole reply:    decision, both turns, outbox in one transaction, then the answer
streamed reply: decision and user's turn, then the first token ... then decision as it ended, reply
"""

import asyncio
from typing import Any

from rapport.errors import UnavailableError
from rapport.store import Change, Episode, GroupCommitter

from .parties import Parties
from .plan import Plan
from .rows import decision_row, reply_turn, user_turn
from .speech import Speech


class Ledger:
    """Write decisions and their turns through the group commit of this process."""

    def __init__(self, committer: GroupCommitter, parties: Parties) -> None:
        self._committer, self._parties = committer, parties
        self._closing: set[asyncio.Task[None]] = set()

    async def commit(self, plan: Plan, speech: Speech) -> None:
        """Write a whole exchange.

        Raises:
            UnavailableError: The store does not answer; nothing was written.
        """
        if not plan.asked.dryrun:
            await self._committer.write_async(await asyncio.to_thread(self._whole, plan, speech))

    async def open(self, plan: Plan, speech: Speech) -> None:
        """Write the decision and the user's turn before the first token of a streamed reply.

        Raises:
            UnavailableError: The store does not answer; nothing was written.
        """
        if not plan.asked.dryrun:
            await self._committer.write_async(await asyncio.to_thread(_opening, plan, speech))

    async def close(self, plan: Plan, speech: Speech) -> None:
        """Write a streamed reply as it ended; goes on when the caller is cancelled.

        Where the store does not answer any more, the decision stays open: what was said cannot
        be taken back, so the stream ends well and the decision is closed as abandoned later.
        """
        if plan.asked.dryrun:
            return
        task = asyncio.ensure_future(self._close(plan, speech))
        self._closing.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def _close(self, plan: Plan, speech: Speech) -> None:
        change = await asyncio.to_thread(self._ending, plan, speech)
        try:
            await self._committer.write_async(change)
        except UnavailableError:
            return

    def _whole(self, plan: Plan, speech: Speech) -> Change:
        rows = [*_said(plan), *_replied(plan, speech)]
        rows.insert(0, ("decisions", decision_row(plan, speech)))
        return Change.of(rows, episodes=self._continued(plan, speech))

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


def _opening(plan: Plan, speech: Speech) -> Change:
    return Change.of(_said(plan), opens=decision_row(plan, speech))


def _said(plan: Plan) -> list[tuple[str, dict[str, Any]]]:
    """The user's turn; none where he said nothing since a tool was called for him."""
    return [("turns", user_turn(plan))] if plan.asked.speaks else []


def _replied(plan: Plan, speech: Speech) -> list[tuple[str, dict[str, Any]]]:
    """The reply's turn; a call of a tool without a word is none."""
    silent = not speech.text and speech.delivered == "tool_call"
    return [] if silent else [("turns", reply_turn(plan, speech))]
