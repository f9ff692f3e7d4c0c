"""Nudges, pulled: what the job `propose_nudges` drew for a user and he may be told now."""

import asyncio
import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Request, Response

from rapport.governance.contact import Person, refusal, same_day
from rapport.governance.tenants import policy_of
from rapport.policy.nudge_rows import Nudge, nudge_in
from rapport.schema import CRISIS_FACET
from rapport.store import Store

from .openapi import Route, caller_of
from .parties import Parties
from .records import now
from .shapes import Nudges

_PLAIN = r"^[^\x00-\x1f\x7f]+$"
_BACK = timedelta(days=2)
_HELD = 200


class NudgeDesk:
    """The route that hands nudges out."""

    def __init__(self, store: Store, parties: Parties) -> None:
        self._store, self._parties = store, parties

    def routes(self) -> list[Route]:
        """The one route, with what it documents."""
        return [Route("GET", "/v1/nudges", self.nudges, answer=Nudges, scope="serve")]

    async def nudges(
        self,
        request: Request,
        user: Annotated[str, Query(pattern=_PLAIN, max_length=256)],
    ) -> Response:
        """List what a user may be told unasked at this moment, the most urgent first.

        Age, consent and quiet hours are looked at anew, by the profile as it is now; where they
        forbid it the list is empty and `withheld` says why. A nudge is for the day (the user's) on
        which it was drawn, and until its task is due. Say what became of it by `POST /v1/feedback`
        with its `decision_id`: `too_early`, `too_late`, `not_now`, or any other metric.
        """
        caller = caller_of(request)
        found, why = await asyncio.to_thread(self._found, caller.tenant, user, caller.agents)
        body = {"object": "list", "data": [_shown(one) for one in found], "withheld": why}
        return Response(json.dumps(body), media_type="application/json")

    def _found(
        self, tenant: str, raw: str, agents: Collection[str]
    ) -> tuple[list[Nudge], str | None]:
        at, key = now(), self._parties.key(tenant, raw)
        rows = self._store.decisions(tenant, user_id=key, since=at - _BACK, limit=_HELD)
        mine = [row for row in rows if not agents or row["agent_id"] in agents]
        drawn = [(nudge, row) for row in mine if (nudge := nudge_in(row)) is not None]
        if not drawn:
            return [], None
        profile, (_, newest) = self._store.user(tenant, key), drawn[0]
        person = Person.of(
            dict(profile["attributes"]) if profile else None,
            purposes=newest["purposes"],
            age_band=dict(newest["groups"]).get("age_band"),
        )
        policy = policy_of(self._parties.tenants, tenant)
        why = "crisis" if any(map(_in_crisis, rows)) else refusal(policy, person, at)
        if why:
            return [], why
        latest: dict[str, Nudge] = {}
        for nudge, _ in drawn:
            latest.setdefault(nudge.task_id, nudge)
        held = [one for one in latest.values() if one.speaks and one.due > at]
        today = [one for one in held if same_day(policy, person, one.at, at)]
        return sorted(today, key=lambda one: -one.urgency), None


def _in_crisis(row: Mapping[str, Any]) -> bool:
    return any(one.get("guard") == CRISIS_FACET for one in row["candidates"])


def _shown(nudge: Nudge) -> dict[str, Any]:
    return {
        "decision_id": nudge.decision_id,
        "task_id": nudge.task_id,
        "kind": nudge.kind,
        "text": nudge.text,
        "deadline": nudge.due.isoformat(),
        "urgency": nudge.urgency,
        "proposed": nudge.at.isoformat(),
    }
