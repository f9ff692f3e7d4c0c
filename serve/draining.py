"""How a gateway stops: nobody is let in any more, and who is inside finishes."""

import asyncio
import contextlib
import json
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from rapport.errors import UnavailableError

from .errors import error_body

ALWAYS_OPEN = ("/healthz", "/metrics")
RETRY_AFTER_S = "2"


class Visitors:
    """Counts requests from their first byte to the last of their answer, streams too.

    One event loop owns it.
    """

    def __init__(self) -> None:
        self.open, self.inside = True, 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Count one in."""
        self.inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Count one out."""
        self.inside -= 1
        if not self.inside:
            self._empty.set()

    async def drained(self, *, grace_s: float) -> int:
        """Let nobody in and wait until all have left; returns how many had not after the grace."""
        self.open = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace_s)
        return self.inside


class Entrance:
    """ASGI middleware: whoever comes to a closed gateway gets 503 with Retry-After."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app, self._visitors = app, visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in ALWAYS_OPEN:
            await self._app(scope, receive, send)
        elif not self._visitors.open:
            await _refuse(send, scope["path"])
        else:
            self._visitors.enter()
            try:
                await self._app(scope, receive, send)
            finally:
                self._visitors.leave()


async def _refuse(send: Send, path: str) -> None:
    error = UnavailableError("this gateway is stopping; try again")
    body = json.dumps(error_body(error, path))
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"retry-after", RETRY_AFTER_S.encode()),
        (b"connection", b"close"),
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": 503, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body.encode()})
