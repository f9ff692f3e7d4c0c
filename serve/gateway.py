"""The ingress: HTTP in OpenAI's format on one side, exchanges on the other."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from rapport.errors import NotFoundError, ServingError, UnauthorizedError, UnavailableError
from rapport.governance.access import bearer, key_hash
from rapport.schema import new_id

from .actions import RankRequest
from .exchange import Exchanges
from .feedback import Feedbacks
from .rank import Ranks
from .wire import ChatRequest, FeedbackRequest, error_body, refused

MAX_BODY_BYTES = 1 << 20
OPEN_PATHS = ("/healthz", "/readyz", "/openapi.json")
RETRY_AFTER_S = "2"

B = TypeVar("B", bound=BaseModel)


class TooLargeError(ServingError):
    """A request body beyond `MAX_BODY_BYTES`."""

    code = "too_large"
    status = 413


class Gateway:
    """Answer HTTP requests. One a replica; everything it holds is shared by its requests."""

    def __init__(self, exchanges: Exchanges, feedbacks: Feedbacks) -> None:
        self._exchanges, self._feedbacks = exchanges, feedbacks
        self._ranks = Ranks(exchanges)

    def api(self) -> FastAPI:
        """Build the application with all routes."""
        api = FastAPI(title="Rapport", version="1", docs_url=None, redoc_url=None)
        api.middleware("http")(self._edge)
        api.exception_handler(ServingError)(_serving_error)
        api.exception_handler(HTTPException)(_http_error)
        api.get("/healthz")(self.healthz)
        api.get("/readyz")(self.readyz)
        api.get("/v1/models")(self.models)
        api.post("/v1/chat/completions", response_model=None)(self.chat)
        api.post("/v1/rank", response_model=None)(self.rank)
        api.post("/v1/rank/{decision_id}/activate", response_model=None)(self.activate)
        api.post("/v1/feedback", response_model=None)(self.feedback)
        api.get("/v1/decisions/{decision_id}", response_model=None)(self.decision)
        return api

    async def healthz(self) -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    async def readyz(self) -> dict[str, Any]:
        """Say that models are loaded, which release serves, and why another was refused."""
        bundles = self._exchanges.bundles
        refusal = bundles.refusal and {
            "release_id": bundles.refusal.release_id,
            "reason": bundles.refusal.reason,
        }
        return {"status": "ready", "release_id": bundles.now.release_id, "refused": refusal}

    async def models(self) -> dict[str, Any]:
        """List what `model` may name: route, pin a persona, the base, the base with an adapter."""
        names = self._exchanges.model_names()
        entry = {"object": "model", "created": 0, "owned_by": "rapport"}
        return {"object": "list", "data": [{"id": name, **entry} for name in names]}

    async def chat(self, request: Request) -> Response:
        """Answer one chat request, streamed or not."""
        asked = await _body(request, ChatRequest)
        header_user = request.headers.get("x-user-id")
        answer = await self._exchanges.answer(request.state.tenant, asked, header_user)
        if asked.stream:
            usage = asked.stream_options.include_usage
            return StreamingResponse(
                answer.events(include_usage=usage),
                media_type="text/event-stream",
                headers={**answer.headers(), "cache-control": "no-cache"},
            )
        return JSONResponse(await answer.completion(), headers=answer.headers())

    async def rank(self, request: Request) -> dict[str, Any]:
        """Choose among the client's actions; without any, say which arm to answer under."""
        asked = await _body(request, RankRequest)
        header_user = request.headers.get("x-user-id")
        return await self._ranks.take(request.state.tenant, asked, header_user)

    async def activate(self, request: Request, decision_id: str) -> dict[str, Any]:
        """Let a deferred decision count."""
        return await self._ranks.activate(request.state.tenant, decision_id)

    async def feedback(self, request: Request) -> dict[str, Any]:
        """Take feedback on a decision or an episode."""
        asked = await _body(request, FeedbackRequest)
        return await self._feedbacks.take(request.state.tenant, asked)

    async def decision(self, request: Request, decision_id: str) -> Response:
        """Show a decision of this tenant as it was logged."""
        row = self._exchanges.store.decision(decision_id)
        if row is None or row["tenant"] != request.state.tenant:
            raise NotFoundError(f"no decision {decision_id!r} was issued here", "decision_id")
        return Response(json.dumps(row, default=str), media_type="application/json")

    async def _edge(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Let in who has a key; answer anything unforeseen with an id, never with its text."""
        request_id = request.headers.get("x-request-id") or new_id()
        try:
            if request.url.path not in OPEN_PATHS:
                request.state.tenant = self._tenant(request)
            response = await call_next(request)
        except ServingError as error:
            response = await _serving_error(request, error)
        except Exception as error:  # noqa: BLE001  the ingress answers 500 with an id
            kind = type(error).__name__
            body = {"message": f"internal error {kind}, request {request_id}", "code": "internal"}
            full = {"error": {**body, "type": "server_error", "param": None}}
            response = JSONResponse(full, status_code=500)
        response.headers["x-request-id"] = request_id
        return response

    def _tenant(self, request: Request) -> str:
        key = bearer(request.headers.get("authorization"))
        tenant = self._exchanges.store.key_tenant(key_hash(key)) if key else None
        if tenant is None:
            raise UnauthorizedError("give a valid key as Authorization: Bearer rk_...")
        return tenant


async def _body(request: Request, kind: type[B]) -> B:
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        raise TooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise TooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        return kind.model_validate_json(bytes(raw))
    except ValidationError as error:
        raise refused(error) from error


async def _serving_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    headers = {"retry-after": RETRY_AFTER_S} if isinstance(error, UnavailableError) else {}
    return JSONResponse(error_body(error), status_code=error.status, headers=headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = NotFoundError if error.status_code == 404 else ServingError
    body = error_body(kind(str(error.detail)))
    return JSONResponse(body, status_code=error.status_code)
