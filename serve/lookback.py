"""Look back, and around: decisions, users, personas, releases; each tenant sees its own."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from rapport.errors import DataError, NotFoundError
from rapport.explanation.explain import explain
from rapport.explanation.shape import Explanation
from rapport.governance.readable import readable
from rapport.governance.tenants import policy_of
from rapport.personas.cards import load_cards
from rapport.release import Listed, list_releases
from rapport.store import Store

from .bundle import Bundles
from .doors import Caller
from .errors import named
from .minds import Minds
from .openapi import Route, body_of, caller_of
from .parties import Parties
from .profiles import profile_body, profile_row
from .shapes import Decision, Decisions, Personas, Profile, Releases, UserState
from .wire import ProfileRequest

_ID = r"^[\w.:-]{1,64}$"
_PLAIN = r"^[^\x00-\x1f\x7f]+$"
DecisionId = Annotated[str, Path(pattern=_ID)]
UserId = Annotated[str, Path(pattern=_PLAIN, max_length=256)]


class LookBack:
    """Routes that read, and the one that sets a user's profile."""

    def __init__(
        self,
        *,
        store: Store,
        parties: Parties,
        minds: Minds,
        bundles: Bundles,
        releases: Folder,
        encoder_id: str,
    ) -> None:
        self._store, self._parties, self._minds = store, parties, minds
        self._bundles, self._releases, self._encoder_id = bundles, releases, encoder_id

    def routes(self) -> list[Route]:
        """Every route, with what it documents."""
        one, many = "/v1/decisions/{decision_id}", "/v1/decisions"
        user = "/v1/users/{user_id}"
        return [
            Route("GET", many, self.decisions, answer=Decisions, scope="read"),
            Route("GET", one, self.decision, answer=Decision, scope="read", statuses=(404,)),
            Route(
                "GET",
                f"{one}/explanation",
                self.explanation,
                answer=Explanation,
                scope="read",
                statuses=(404,),
            ),
            Route("PUT", user, self.put_user, answer=Profile, scope="serve", body=ProfileRequest),
            Route("GET", f"{user}/state", self.user_state, answer=UserState, scope="read"),
            Route("GET", "/v1/personas", self.personas, answer=Personas, scope="read"),
            Route("GET", "/v1/releases", self.releases, answer=Releases, scope="read"),
        ]

    async def decisions(
        self,
        request: Request,
        user: Annotated[str | None, Query(pattern=_PLAIN, max_length=256)] = None,
        episode_id: Annotated[str | None, Query(pattern=_PLAIN, max_length=64)] = None,
        since: Annotated[datetime | None, Query()] = None,
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """List decisions, newest first.

        `user` is the id as the client gave it. `since` without a time zone is UTC. `after` is the
        decision that the page before ended with. A key that is bound to agents sees only theirs,
        so that its pages may be short; `has_more` tells whether there are further ones.
        """
        caller = caller_of(request)
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        rows = await asyncio.to_thread(
            self._store.decisions,
            caller.tenant,
            user_id=self._parties.key(caller.tenant, user) if user else None,
            episode_id=episode_id,
            since=since,
            after=after,
            limit=limit + 1,
        )
        page = rows[:limit]
        body = {
            "object": "list",
            "data": [shown(row, caller) for row in page if _mine(row, caller)],
            "has_more": len(rows) > limit,
            "after": page[-1]["decision_id"] if page else None,
        }
        return _json(body)

    async def decision(self, request: Request, decision_id: DecisionId) -> Response:
        """Show one decision as it was logged."""
        caller = caller_of(request)
        row = await asyncio.to_thread(self._own, caller, decision_id)
        return _json(shown(row, caller))

    async def explanation(self, request: Request, decision_id: DecisionId) -> Response:
        """Explain one decision, in words and numbers.

        Candidates with both factors, how they became probabilities, what was drawn, what persona,
        mood and sentiment curve did to it, and what could not be chosen. It is read from the
        decision as logged and from the release that decided; where that release is gone it says so.
        What was inferred of the user takes the key's scope `affect` and the user's `infer_affect`.
        """
        caller = caller_of(request)
        told = await asyncio.to_thread(self._explained, caller, decision_id)
        return Response(told.model_dump_json(), media_type="application/json")

    async def put_user(self, request: Request, user_id: UserId) -> Response:
        """Set a user's profile; the whole of it, replacing what was there.

        Later requests that do not say a band, purposes or a jurisdiction themselves get them
        from here.
        """
        tenant = caller_of(request).tenant
        asked = await body_of(request, ProfileRequest)
        row = profile_row(tenant, self._parties.key(tenant, user_id), asked)
        await asyncio.to_thread(self._store.commit, [("users", row)])
        return _json(profile_body(row))

    async def user_state(self, request: Request, user_id: UserId) -> Response:
        """Show who a user is to serving now; one never heard of has an open profile."""
        return _json(await asyncio.to_thread(self._state, caller_of(request), user_id))

    async def personas(self) -> Response:
        """List the personas of the release that serves; cards hold counts, never a person."""
        bundle = self._bundles.now
        cards = await asyncio.to_thread(self._cards, bundle.release_id)
        data = [{**card, "adapter": card["persona_id"] in bundle.adapters} for card in cards]
        return _json({"object": "list", "release_id": bundle.release_id, "data": data})

    async def releases(self) -> Response:
        """List published releases, and say which ones this replica refused."""
        listed = await asyncio.to_thread(lambda: list(list_releases(self._releases)))
        serving, found = self._bundles.now.release_id, self._bundles.refusal
        refusal = found and {"release_id": found.release_id, "reason": found.reason}
        data = [_release(one, serves=one.release_id == serving) for one in listed]
        return _json({"object": "list", "data": data, "refused": refusal})

    def _own(self, caller: Caller, decision_id: str) -> dict[str, Any]:
        row = self._store.decision(decision_id)
        if row is None or row["tenant"] != caller.tenant or not _mine(row, caller):
            raise NotFoundError(f"no decision {named(decision_id)} was issued here", "decision_id")
        return row

    def _explained(self, caller: Caller, decision_id: str) -> Explanation:
        row, history = self._own(caller, decision_id), self._store.switches.history()
        affect = caller.opens("affect")
        return explain(row, self._releases, affect=affect, history=history)

    def _cards(self, release_id: str | None) -> list[dict[str, Any]]:
        if release_id is None:
            return []
        try:
            cards = load_cards(self._releases / release_id / "personas")
        except DataError:  # a release without cards has personas all the same
            return [{"persona_id": name} for name in self._bundles.now.layout.personas]
        return [
            {
                "persona_id": name,
                "users": card.users,
                "share": card.share,
                "terms": [term.term for term in card.terms],
                "sentences": card.sentences,
            }
            for name, card in cards.items()
        ]

    def _state(self, caller: Caller, raw: str) -> dict[str, Any]:
        key = self._parties.key(caller.tenant, raw)
        profile = profile_body(self._store.user(caller.tenant, key))
        policy = policy_of(self._parties.tenants, caller.tenant)
        band = policy.age_band(profile["age_band"])
        purposes = policy.purposes_for(profile["purposes"], age_band=profile["age_band"])
        mind = self._minds.recall(caller.tenant, key)
        affect = None
        if "infer_affect" in purposes and caller.opens("affect"):
            known = self._store.user_state(caller.tenant, key, self._encoder_id)
            affect = {
                "persona_id": known.persona_id if known else None,
                "curve": mind.curve.value if mind.curve.count else None,
                "last_arm": mind.last_arm,
            }
        return {
            "user_id": raw,
            "profile": profile,
            "effective": {
                "age_band": band,
                "purposes": list(purposes),
                "protected": policy.is_protected(band),
                "explorable": policy.may_explore(band),
            },
            "last_event_ts": mind.last_ts,
            "affect": affect,
        }


def shown(row: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    """Decide what of a decision a key may read."""
    return readable(row, opened=caller.opens("affect"))


def _mine(row: Mapping[str, Any], caller: Caller) -> bool:
    return not caller.agents or row["agent_id"] in caller.agents


def _release(one: Listed, *, serves: bool) -> dict[str, Any]:
    made = one.manifest
    promoted = (made.verdict or {}).get("promoted") if made else None
    return {
        "release_id": one.release_id,
        "alias": made.alias if made else None,
        "created": made.created if made else None,
        "gate": None if promoted is None else "promoted" if promoted else "refused",
        "current": one.is_current,
        "serves": serves,
        "fault": one.fault or None,
    }


def _json(body: Mapping[str, Any]) -> Response:
    raw = json.dumps(body, default=_plain)
    return Response(raw, media_type="application/json")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
