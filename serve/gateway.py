"""The ingress: HTTP in OpenAI's format on one side, exchanges on the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Send

from rapport.errors import ServingError, UnavailableError
from rapport.store import Store

from .actions import RankRequest, for_agent
from .answer import Answer
from .bundle import Bundles, Refusal
from .doors import Doors
from .edge import Edge
from .errors import on_http_error, on_serving_error, on_validation_error
from .exchange import Exchanges
from .feedback import Feedbacks
from .limits import Limits
from .lookback import DecisionId
from .metrics import CONTENT_TYPE, Metrics
from .openapi import Route, body_of, caller_of, mount
from .page import show_page
from .rank import Ranks
from .shapes import Activated, Completion, FeedbackTaken, Health, Models, Ranked, Readiness
from .wire import ChatRequest, FeedbackRequest

PROBE_S = 2.0
"""Seconds the store has to answer a probe."""


class Gateway:
    """Answer HTTP requests. One a replica; everything it holds is shared by its requests."""

    def __init__(
        self,
        *,
        exchanges: Exchanges,
        feedbacks: Feedbacks,
        others: Sequence[Route],
        doors: Doors,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._exchanges, self._feedbacks, self._others = exchanges, feedbacks, others
        self._ranks = Ranks(exchanges)
        self._doors, self._metrics, self._limits = doors, metrics, limits

    def api(self) -> FastAPI:
        """Build the application with all routes."""
        api = FastAPI(
            title="Rapport",
            version="1",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        mount(api, [*self._routes(), *self._others])
        show_page(api)
        api.add_exception_handler(ServingError, on_serving_error)
        api.add_exception_handler(HTTPException, on_http_error)
        api.add_exception_handler(RequestValidationError, on_validation_error)
        api.add_middleware(Edge, doors=self._doors, limits=self._limits, metrics=self._metrics)
        return api

    def _routes(self) -> list[Route]:
        chat, sse = "/v1/chat/completions", "text/event-stream"
        return [
            Route("GET", "/healthz", self.healthz, answer=Health),
            Route("GET", "/readyz", self.readyz, answer=Readiness, unready=True),
            Route("GET", "/metrics", self.metrics, media="text/plain"),
            Route("GET", "/v1/models", self.models, answer=Models, scope="serve"),
            Route(
                "POST",
                chat,
                self.chat,
                answer=Completion,
                scope="serve",
                body=ChatRequest,
                also=sse,
            ),
            Route("POST", "/v1/rank", self.rank, answer=Ranked, scope="serve", body=RankRequest),
            Route(
                "POST",
                "/v1/rank/{decision_id}/activate",
                self.activate,
                answer=Activated,
                scope="serve",
                statuses=(404, 409),
            ),
            Route(
                "POST",
                "/v1/feedback",
                self.feedback,
                answer=FeedbackTaken,
                scope="feedback",
                body=FeedbackRequest,
                statuses=(404, 409),
            ),
        ]

    async def healthz(self) -> Response:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> Response:
        """Say whether requests can be answered: 503 with the failing part where not.

        It names the release that serves, and why the one that CURRENT names was refused. A
        refused release makes nothing unready: the one before it serves on.
        """
        bundles = self._exchanges.bundles
        failing = await self._failing()
        body = {
            "status": "not_ready" if failing else "ready",
            "release_id": bundles.now.release_id,
            "refused": _refusal(bundles.refusal),
            "canary": _tried(bundles),
            "failing": failing,
        }
        return JSONResponse(body, status_code=503 if failing else 200)

    async def metrics(self) -> Response:
        """Show this replica's counters in Prometheus' text format; each replica counts itself."""
        bundles = self._exchanges.bundles
        self._metrics.serving(bundles.now.release_id, refused=bundles.refused)
        try:
            async with asyncio.timeout(PROBE_S):
                rows, oldest_s = await asyncio.to_thread(_backlog, self._exchanges.store)
            self._metrics.waiting(rows, oldest_s=oldest_s)
        except (UnavailableError, TimeoutError):
            self._metrics.waiting(None, oldest_s=0)
        return Response(self._metrics.exposed(), media_type=CONTENT_TYPE)

    async def models(self) -> Response:
        """List what `model` may name: route, pin a persona, the base, the base with an adapter."""
        names = self._exchanges.hearing.model_names()
        entry = {"object": "model", "created": 0, "owned_by": "rapport"}
        return JSONResponse({"object": "list", "data": [{"id": name, **entry} for name in names]})

    async def chat(self, request: Request) -> Response:
        """Answer one chat request, streamed or not."""
        caller, asked = caller_of(request), await body_of(request, ChatRequest)
        asked = for_agent(caller, asked)
        answer = await self._exchanges.answer(
            caller.tenant, asked, request.headers.get("x-user-id")
        )
        if asked.stream:
            usage = asked.stream_options.include_usage
            return EventStream(
                self._counted(answer, include_usage=usage),
                media_type="text/event-stream",
                headers={**answer.headers(), "cache-control": "no-cache"},
            )
        body = await answer.completion()
        self._count(answer)
        return JSONResponse(body, headers=answer.headers())

    async def rank(self, request: Request) -> Response:
        """Choose among the client's actions; without any, say which arm to answer under."""
        caller, asked = caller_of(request), await body_of(request, RankRequest)
        asked = for_agent(caller, asked)
        header_user = request.headers.get("x-user-id")
        body = await self._ranks.take(caller.tenant, asked, header_user)
        request.state.decision_id = body["decision_id"]
        self._metrics.decided(body["rapport"])
        return JSONResponse(body)

    async def activate(self, request: Request, decision_id: DecisionId) -> Response:
        """Let a deferred decision count."""
        request.state.decision_id = decision_id
        return JSONResponse(await self._ranks.activate(caller_of(request).tenant, decision_id))

    async def feedback(self, request: Request) -> Response:
        """Take feedback on a decision or an episode."""
        asked = await body_of(request, FeedbackRequest)
        request.state.decision_id = asked.decision_id
        return JSONResponse(await self._feedbacks.take(caller_of(request), asked))

    async def _failing(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(PROBE_S):
                await asyncio.to_thread(self._exchanges.store.unfinished)
        except UnavailableError as error:
            return {"store": str(error)}
        except TimeoutError:
            return {"store": f"it did not answer within {PROBE_S:g} s"}
        return {}

    async def _counted(self, answer: Answer, *, include_usage: bool) -> AsyncIterator[str]:
        try:
            async with aclosing(answer.events(include_usage=include_usage)) as events:
                async for event in events:
                    yield event
        finally:
            self._count(answer)

    def _count(self, answer: Answer) -> None:
        used = answer.speech.usage
        self._metrics.decided(answer.block(), tokens_in=used.tokens_in, tokens_out=used.tokens_out)


class EventStream(StreamingResponse):
    """A stream whose source is closed in any case, so that who leaves early is recorded."""

    async def stream_response(self, send: Send) -> None:
        """Send the events, then close their source, even when cancelled."""
        try:
            await super().stream_response(send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()


def _refusal(found: Refusal | None) -> dict[str, str] | None:
    return {"release_id": found.release_id, "reason": found.reason} if found else None


def _tried(bundles: Bundles) -> dict[str, Any] | None:
    found, refused = bundles.tried, bundles.canary_refusal
    if found is not None:
        return {"release_id": found.canary.release, "share": found.canary.share, "reason": None}
    told = _refusal(refused)
    return {**told, "share": 0.0} if told else None


def _backlog(store: Store) -> tuple[dict[str, int], float]:
    """Rows that wait for the lake by table, and the age of the oldest in seconds."""
    oldest = store.outbox.oldest()
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    return store.outbox.waiting(), max(age, 0.0)
