import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from serve.draining import Entrance, Visitors


def an_app(visitors, *, gate=None):
    async def words():
        yield "a"
        if gate is not None:
            await gate.wait()
        yield "b"

    async def stream(_request):
        return StreamingResponse(words())

    async def fine(_request):
        return PlainTextResponse("ok")

    routes = [Route("/stream", stream), Route("/healthz", fine)]
    return Entrance(Starlette(routes=routes), visitors)


async def called(app, path, into):
    """Call an ASGI application and keep what it sends as it sends it."""

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        into.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)


def test_a_stream_that_runs_is_waited_for_and_nobody_else_comes_in():
    async def story():
        visitors, gate = Visitors(), asyncio.Event()
        app = an_app(visitors, gate=gate)
        running: list[dict[str, Any]] = []
        late: list[dict[str, Any]] = []
        stream = asyncio.create_task(called(app, "/stream", running))
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(visitors.drained(grace_s=5))
        await asyncio.sleep(0)
        await called(app, "/stream", late)
        assert not draining.done()
        gate.set()
        left = await draining
        await stream
        return running, late, left

    running, late, left = asyncio.run(story())
    assert b"".join(m.get("body", b"") for m in running) == b"ab"
    assert late[0]["status"] == 503
    assert (b"retry-after", b"2") in late[0]["headers"]
    assert left == 0


def test_who_does_not_leave_is_counted_at_the_end_of_the_grace():
    async def story():
        visitors = Visitors()
        visitors.enter()
        return await visitors.drained(grace_s=0.01)

    assert asyncio.run(story()) == 1


@pytest.mark.parametrize("open_", [True, False])
def test_the_process_is_alive_behind_a_closed_entrance_too(open_):
    visitors = Visitors()
    visitors.open = open_
    assert TestClient(an_app(visitors)).get("/healthz").status_code == 200
