"""The wire format of the retired Azure Personalizer v1.0, on top of `rank.py` and `feedback.py`.

| asked | done |
|---|---|
| `POST /personalizer/v1.0/rank` | as `POST /v1/rank`; 201 |
| `POST /personalizer/v1.0/events/{eventId}/reward` | feedback `reward` on the event; 204 |
| `POST /personalizer/v1.0/events/{eventId}/activate` | a deferred event counts; 204 |

- An event is a decision. One that the client named comes again unchanged, so a request may be
  repeated; the same name for other actions is 409. Without a name its id is the decision's.
- Of several rewards for an event the first counts. Where none came within the tenant's
  `reward_wait_s` the event earns its `default_reward`; one that comes later takes its place. See
  `rapport.affect.waiting`.
- A deferred event that is neither activated nor rewarded within that time teaches nothing.
- Two features are words, not features: `text` of an action is what would be said, and read for the
  arms it shows; `message` of the context is what the user said, and read as in any chat.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rapport.errors import ConflictError, NotFoundError, RowError, ServingError
from rapport.governance.tenants import TenantPolicy, policy_of
from rapport.policy.foreign_features import told
from rapport.schema import CRISIS_FACET, content_id, new_id

from .actions import Id, RankRequest, for_agent
from .azure_errors import AzureErrorBody
from .deferral import Event
from .doors import Caller
from .errors import named, refused
from .exchange import Exchanges
from .feedback import Feedbacks
from .metrics import Metrics
from .openapi import Route, body_of, caller_of
from .rank import Ranks
from .wire import FeedbackRequest

MAX_ACTIONS = 50
_PLAIN = r"^[^\x00-\x1f\x7f]+$"
EventId = Annotated[str, Field(min_length=1, max_length=256, pattern=_PLAIN)]
EventPath = Annotated[str, Path(alias="eventId", min_length=1, max_length=256, pattern=_PLAIN)]
Features = list[dict[str, Any]]


class RankableAction(BaseModel):
    """One action, in the service's words."""

    id: Id
    features: Features

    def ours(self, place: int) -> dict[str, Any]:
        """The action as `POST /v1/rank` takes it."""
        read = told(self.features, where=f"actions.{place}.features", spoken="text")
        return {"id": self.id, "features": read.features, "text": read.text}


class PersonalizerRankRequest(BaseModel):
    """Body of `POST /personalizer/v1.0/rank`. Unknown fields are let through unread."""

    model_config = ConfigDict(populate_by_name=True)

    context_features: Features | None = Field(default=None, alias="contextFeatures")
    actions: list[RankableAction] = Field(min_length=1, max_length=MAX_ACTIONS)
    excluded_actions: list[str] | None = Field(default=None, alias="excludedActions")
    """Ids of actions that may not be taken; what names no action changes nothing."""
    event_id: EventId | None = Field(default=None, alias="eventId")
    defer_activation: bool | None = Field(default=None, alias="deferActivation")

    def ours(self) -> RankRequest:
        """The same as `POST /v1/rank` takes it.

        Raises:
            ServingError: It cannot be ranked.
        """
        ids = {action.id for action in self.actions}
        try:
            context = told(self.context_features or [], where="contextFeatures", spoken="message")
            body = {
                "context": context.text,
                "features": context.features,
                "actions": [action.ours(place) for place, action in enumerate(self.actions)],
                "excluded": sorted(ids.intersection(self.excluded_actions or [])),
                "defer": bool(self.defer_activation),
            }
            return RankRequest.model_validate(body)
        except RowError as error:
            raise ServingError(f"{error.field}: {error.reason}", error.field) from None
        except ValidationError as error:
            raise refused(error) from None


class RankedAction(BaseModel):
    """An action with the probability that it was drawn with."""

    id: str
    probability: float


class PersonalizerRankResponse(BaseModel):
    """The action to take. In a crisis it is null, and `reply` is what must be said."""

    ranking: list[RankedAction] = Field(
        description="The chosen one first; those that were excluded stay in their places."
    )
    event_id: str = Field(alias="eventId")
    reward_action_id: str | None = Field(alias="rewardActionId")
    reply: str | None = None


class PersonalizerRewardRequest(BaseModel):
    """Body of `POST /personalizer/v1.0/events/{eventId}/reward`."""

    value: Annotated[float, Field(strict=True, ge=-1, le=1)]


class Personalizer:
    """Routes of the wire format. Shared by all requests of a replica."""

    def __init__(
        self,
        *,
        exchanges: Exchanges,
        feedbacks: Feedbacks,
        tenants: Mapping[str, TenantPolicy],
        metrics: Metrics,
    ) -> None:
        self._ranks, self._store = Ranks(exchanges), exchanges.store
        self._feedbacks = feedbacks
        self._tenants, self._metrics = tenants, metrics

    def routes(self) -> list[Route]:
        """Every route of this class."""
        event = "/personalizer/v1.0/events/{eventId}"
        shared: dict[str, Any] = {"error": AzureErrorBody, "keys": ("key", "subscription_key")}
        return [
            Route(
                "POST",
                "/personalizer/v1.0/rank",
                self.rank_event,
                answer=PersonalizerRankResponse,
                scope="serve",
                body=PersonalizerRankRequest,
                status=201,
                statuses=(409,),
                **shared,
            ),
            Route(
                "POST",
                f"{event}/reward",
                self.reward_event,
                scope="feedback",
                body=PersonalizerRewardRequest,
                status=204,
                statuses=(404,),
                **shared,
            ),
            Route(
                "POST",
                f"{event}/activate",
                self.activate_event,
                scope="serve",
                status=204,
                statuses=(404,),
                **shared,
            ),
        ]

    async def rank_event(self, request: Request) -> Response:
        """Choose among the client's actions, in the wire format of the Azure Personalizer.

        `text` among an action's features is read for what it shows, `message` among those of the
        context as what the user said; all others are logged. A header `x-user-id` names the user,
        who is else another one each time.
        """
        caller, body = caller_of(request), await body_of(request, PersonalizerRankRequest)
        asked = for_agent(caller, body.ours())
        event = self._event(caller.tenant, body.event_id)
        row = await asyncio.to_thread(self._store.decision, event.decision_id)
        if row is None:
            header_user = request.headers.get("x-user-id")
            answer = await self._ranks.take(caller.tenant, asked, header_user, event=event)
            self._metrics.decided(answer["rapport"])
            row = await asyncio.to_thread(self._store.decision, event.decision_id) or {}
        request.state.decision_id = event.decision_id
        told_back = _response(asked, row, event_id=body.event_id or event.decision_id)
        headers = {"x-rapport-decision-id": event.decision_id}
        return JSONResponse(told_back, status_code=201, headers=headers)

    async def reward_event(self, request: Request, event_id: EventPath) -> Response:
        """Report the reward of an event, -1 to 1; of several the first counts."""
        caller, asked = caller_of(request), await body_of(request, PersonalizerRewardRequest)
        row = await asyncio.to_thread(self._known, caller, event_id)
        request.state.decision_id = decision_id = str(row["decision_id"])
        given = FeedbackRequest(
            decision_id=decision_id,
            metric_name="reward",
            value=asked.value,
            feedback_id=content_id(decision_id, "reward"),
        )
        with contextlib.suppress(ConflictError):  # the first one counts
            await self._feedbacks.take(caller, given)
        return Response(status_code=204)

    async def activate_event(self, request: Request, event_id: EventPath) -> Response:
        """Say that a deferred event was shown, and that its reward is to be expected."""
        caller = caller_of(request)
        row = await asyncio.to_thread(self._known, caller, event_id)
        request.state.decision_id = decision_id = str(row["decision_id"])
        with contextlib.suppress(ConflictError):  # too late is no error there
            await self._ranks.activate(caller.tenant, decision_id)
        return Response(status_code=204)

    def _event(self, tenant: str, name: str | None) -> Event:
        policy = policy_of(self._tenants, tenant)
        return Event(
            decision_id=new_id() if name is None else event_decision(tenant, name),
            named=name is not None,
            default_reward=policy.default_reward,
            wait_s=policy.reward_wait_s,
        )

    def _known(self, caller: Caller, event_id: str) -> Mapping[str, Any]:
        """The decision behind an event: one that was named so, else one with that id."""
        for decision_id in (event_decision(caller.tenant, event_id), event_id):
            row = self._store.decision(decision_id)
            if row is not None and row["tenant"] == caller.tenant:
                return row
        raise NotFoundError(f"no event {named(event_id)} was issued here", "eventId")


def event_decision(tenant: str, event_id: str) -> str:
    """Id of the decision behind an event that a client named."""
    return content_id(tenant, "personalizer", event_id)


def _response(asked: RankRequest, row: Mapping[str, Any], *, event_id: str) -> dict[str, Any]:
    """Tell a decision on record in the service's words.

    Raises:
        ConflictError: It was made for other actions.
    """
    shares = {one["candidate_id"]: one["probability"] for one in row["candidates"]}
    ids = [action.id for action in asked.actions]
    crisis = row["candidates"][0]["guard"] == CRISIS_FACET
    if not crisis and not (
        set(shares) == set(ids) or (len(shares) == 1 and set(shares) < set(ids))
    ):
        remedy = "an eventId names one event; leave it out, or give another"
        raise ConflictError(f"eventId: it is on record with other actions; {remedy}", "eventId")
    chosen = None if crisis else _taken(row)
    free = [one for one in ids if one not in asked.excluded]
    best = iter(sorted(free, key=lambda one: (one != chosen, -shares.get(one, 0.0))))
    ranking = [one if one in asked.excluded else next(best) for one in ids]
    return {
        "ranking": [{"id": one, "probability": shares.get(one, 0.0)} for one in ranking],
        "eventId": event_id,
        "rewardActionId": chosen,
        **({"reply": row["candidates"][0]["text"]} if crisis else {}),
    }


def _taken(row: Mapping[str, Any]) -> str:
    """The action that was let pass: the first that could be where nothing is chosen."""
    candidates = row["candidates"]
    if row["mode"] == "observe":
        return str(next(one["candidate_id"] for one in candidates if one["guard"] is None))
    return str(candidates[row["action_index"]]["candidate_id"])
