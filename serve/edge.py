"""The edge: everything between the socket and a route, as plain ASGI so that streams stay streams.

request id -> key -> rate and places -> the body, whole and in time -> the route -> one log line

What goes wrong on the way leaves in the one shape of `errors`. A fault of ours becomes a 500 with
the request's id; the log gets its kind and place, and nobody its text, which may hold a user's.
"""

import asyncio
import contextlib
import json
import logging
import re
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rapport.errors import (
    ServingError,
    SlowRequestError,
    TooLargeError,
    UnavailableError,
)
from rapport.schema import new_id

from .azure_errors import authorization
from .doors import Doors
from .errors import error_body, error_response, internal_body
from .limits import Limits, Turnstile
from .logs import tell
from .metrics import Metrics
from .page import is_of_page

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"})
CLIENT_GONE = 499
"""Status noted, never sent, where the client left before the answer began."""
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", flags=re.ASCII)


class Visit:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send, clock: asyncio.Timeout, whole_s: float) -> None:
        self.scope, self._send, self._clock, self._whole_s = scope, send, clock, whole_s
        self.headers = Headers(scope=scope)
        given = self.headers.get("x-request-id") or ""
        self.request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        self.begun = time.monotonic()
        self.status: int | None = None
        self.code: str | None = None
        self.decision_id: str | None = None
        self._streams = False

    async def send(self, message: Message) -> None:
        """Pass a message on; the first gets the request's id and starts the reader's clock."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.request_id
            self.status = message["status"]
            self.decision_id = headers.get("x-rapport-decision-id")
            self._streams = headers.get("content-type", "").startswith("text/event-stream")
            with contextlib.suppress(RuntimeError):  # an error's answer comes when it has stopped
                self._clock.reschedule(asyncio.get_running_loop().time() + self._whole_s)
        await self._send(message)

    async def fail(self, error: ServingError) -> None:
        """Answer with an error; into a stream it goes as its last event."""
        self.code = error.code
        if self.status is None:
            await error_response(error, self.scope["path"])(self.scope, _nothing, self.send)
        else:
            await self._end(error_body(error))

    async def break_down(self, error: Exception) -> None:
        """Answer for a fault of ours; the log is told where, not what."""
        kind = type(error).__name__
        self.code = "internal"
        places = traceback.extract_tb(error.__traceback__)[-3:]
        where = [f"{Path(place.filename).name}:{place.lineno}" for place in places]
        tell("fault", level=logging.ERROR, request_id=self.request_id, kind=kind, where=where)
        body = internal_body(kind, self.request_id, self.scope["path"])
        if self.status is None:
            raw = json.dumps(body).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(raw)),
            ]
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": raw})
        else:
            await self._end(body)

    async def _end(self, body: Mapping[str, object]) -> None:
        last = f"data: {json.dumps(body)}\n\n".encode() if self._streams else b""
        await self._send({"type": "http.response.body", "body": last, "more_body": False})


class Edge:
    """ASGI middleware around all routes. One a replica."""

    def __init__(self, app: ASGIApp, *, doors: Doors, limits: Limits, metrics: Metrics) -> None:
        self._app, self._doors, self._limits, self._metrics = app, doors, limits, metrics
        self._turnstile = Turnstile()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for HTTP, but when it is cancelled."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.timeout(self._limits.answer_s)
        visit = Visit(scope, send, clock, self._limits.whole_s)
        try:
            with self._metrics.in_progress.track_inprogress():
                await self._answered(visit, receive, clock)
        except asyncio.CancelledError:
            visit.code = visit.code or "client_gone"
            raise
        finally:
            self._account(visit)

    async def _answered(self, visit: Visit, receive: Receive, clock: asyncio.Timeout) -> None:
        try:
            async with clock:
                await self._let_in(visit, receive)
        except ServingError as error:
            await visit.fail(error)
        except Exception as error:  # noqa: BLE001  the ingress answers 500 with an id
            cause = error.__cause__  # Starlette wraps what a begun stream raises
            if clock.expired():
                seconds = self._limits.answer_s if visit.status is None else self._limits.whole_s
                await visit.fail(UnavailableError(f"no end within {seconds:g} s"))
            elif isinstance(cause, ServingError):
                await visit.fail(cause)
            elif isinstance(error, ClientDisconnect) or (visit.status and _is_socket(error)):
                visit.code = "client_gone"
            else:
                await visit.break_down(error)

    async def _let_in(self, visit: Visit, receive: Receive) -> None:
        scope = visit.scope
        if scope["path"] in OPEN_PATHS or is_of_page(scope["path"]):
            await self._app(scope, receive, visit.send)
            return
        caller = await self._doors.admitted(authorization(visit.headers, scope["path"]))
        state = scope.setdefault("state", {})
        state["caller"], state["tenant"] = caller, caller.tenant
        with self._turnstile.passed(caller.key_id, caller.rates):
            body = await self._body(visit.headers, receive)
            await self._app(scope, _replayed(body, receive), visit.send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """Take the whole body in.

        Raises:
            TooLargeError: It is, or says it is, beyond the limit.
            SlowRequestError: It is not here in time.
        """
        limit = self._limits.body_bytes
        told = headers.get("content-length", "0")
        if not told.isdecimal() or int(told) > limit:
            raise TooLargeError(f"the body is larger than {limit} bytes")
        raw = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    raw += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(raw) > limit:
                        raise TooLargeError(f"the body is larger than {limit} bytes")
        except TimeoutError:
            within = f"within {self._limits.body_s:g} s"
            raise SlowRequestError(f"the body did not arrive {within}") from None
        return bytes(raw)

    def _account(self, visit: Visit) -> None:
        """Count and log one request."""
        scope, seconds = visit.scope, time.monotonic() - visit.begun
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        if scope["path"] in OPEN_PATHS:
            route = scope["path"]
        status = visit.status or CLIENT_GONE
        method = scope["method"] if scope["method"] in _METHODS else "other"
        state = scope.get("state", {})
        self._metrics.answered(route=route, method=method, status=status, seconds=seconds)
        if visit.code or status >= 400:
            self._metrics.failed(visit.code or state.get("code") or str(status))
        tell(
            "request",
            request_id=visit.request_id,
            route=route,
            method=method,
            status=status,
            seconds=round(seconds, 6),
            code=visit.code or state.get("code"),
            decision_id=visit.decision_id or state.get("decision_id"),
            tenant=state.get("tenant"),
        )


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give a body already read once, then what the socket says next: that the client left."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _is_socket(error: Exception) -> bool:
    """Whether a send failed because nobody reads any more."""
    return isinstance(error, ConnectionError)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
