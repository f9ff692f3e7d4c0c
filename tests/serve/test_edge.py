"""What the edge promises of every request: who comes in, how much, how long, in what shape."""

import asyncio
import json
import logging
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from rapport.errors import ServingError, UnavailableError
from rapport.governance.access import granted
from serve.doors import Doors
from serve.edge import Edge
from serve.errors import on_serving_error
from serve.limits import Limits
from serve.logs import LOGGER
from serve.metrics import Metrics
from serve.openapi import caller_of

SECRET = "Zanzibar-7946-marker"


@pytest.fixture
def edged(whole):
    """Ask an application of one route behind an edge of its own."""
    headers = {"authorization": f"Bearer {whole.key()}"}

    def ask(call, content=b"{}", *, more=None, **limits):
        api = behind_edge(call, Doors(whole.store, {}), Metrics(), **limits)

        async def asked():
            transport = httpx.ASGITransport(api, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://t", headers=headers
            ) as client:
                return await client.post("/x", content=content, headers=more)

        return asyncio.run(asked())

    return ask


def behind_edge(call, doors, metrics, **limits):
    api = FastAPI()
    api.add_api_route("/x", call, methods=["POST", "GET"], response_model=None)
    api.add_exception_handler(ServingError, on_serving_error)
    api.add_middleware(Edge, doors=doors, limits=Limits(**limits), metrics=metrics)
    return api


async def echo(request: Request):
    body = await request.body()
    return JSONResponse({"bytes": len(body), "tenant": caller_of(request).tenant})


async def slowly():
    for _ in range(40):
        await asyncio.sleep(0.05)
        yield b" "


def test_a_body_is_taken_in_whole_and_given_to_the_route(edged):
    assert edged(echo, b"x" * 900).json() == {"bytes": 900, "tenant": "default"}


@pytest.mark.parametrize("told", [True, False], ids=["declared", "undeclared"])
def test_a_body_beyond_the_limit_is_413_before_it_is_all_here(edged, told):
    async def endless():
        for _ in range(100):
            yield b"x" * 100

    answer = edged(echo, b"x" * 2000 if told else endless(), body_bytes=1024)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


def test_a_slow_body_is_408_in_time(edged):
    answer = edged(echo, slowly(), body_s=0.2)
    assert answer.status_code == 408
    assert answer.json()["error"]["code"] == "request_timeout"


def test_an_answer_that_does_not_begin_is_503_with_retry_after(edged):
    async def hangs(request: Request):
        await asyncio.sleep(30)

    answer = edged(hangs, answer_s=0.2)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_a_stream_that_breaks_ends_with_an_error_in_the_one_shape(edged):
    async def breaks(request: Request):
        async def events():
            yield "data: {}\n\n"
            raise UnavailableError("the engine is gone")

        return StreamingResponse(events(), media_type="text/event-stream")

    answer = edged(breaks)
    assert answer.status_code == 200
    last = answer.text.split("\n\n")[-2].removeprefix("data: ")
    assert json.loads(last)["error"]["code"] == "unavailable"


def test_a_fault_of_ours_is_500_with_the_requests_id_and_nobodys_text(edged, caplog):
    async def faulty(request: Request):
        raise ValueError(f"cannot read {SECRET}")

    caplog.set_level(logging.INFO, logger="rapport.serve")
    LOGGER.propagate = True
    answer = edged(faulty, more={"x-request-id": "req-1"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "req-1"
    assert answer.json()["error"]["code"] == "internal"
    assert "req-1" in answer.json()["error"]["message"]
    told = [getattr(record, "facts", {}) for record in caplog.records if record.name == LOGGER.name]
    fault = next(facts for facts in told if "where" in facts)
    assert fault["kind"] == "ValueError"
    assert any("test_edge.py" in place for place in fault["where"])
    assert SECRET not in answer.text + json.dumps(told) + caplog.text


def test_a_client_that_leaves_closes_its_stream(whole):
    closed = asyncio.Event()

    async def streams(request: Request):
        async def events():
            try:
                while True:
                    yield "data: {}\n\n"
                    await asyncio.sleep(0.01)
            finally:
                closed.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    api = behind_edge(streams, Doors(whole.store, {}), Metrics())
    headers = [(b"authorization", f"Bearer {whole.key()}".encode())]

    async def leave():
        some = asyncio.Event()
        said = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if said:
                return said.pop()
            await some.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body":
                some.set()

        scope: dict[str, Any] = {
            "type": "http",
            "query_string": b"",
            "method": "GET",
            "path": "/x",
            "headers": headers,
        }
        await asyncio.wait_for(api(scope, receive, send), 5)
        await asyncio.wait_for(closed.wait(), 5)

    asyncio.run(leave())


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "bad\u00e9", f"<{SECRET}>"])
def test_a_request_id_that_is_none_is_replaced(whole, given):
    headers = {"x-request-id": given.encode("latin-1")}
    answer = whole.client.get("/healthz", headers=headers)
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 36


def test_a_request_id_is_echoed(whole):
    answer = whole.ask("GET", "/v1/models", headers={"x-request-id": "trace:1.2-3_4"})
    assert answer.headers["x-request-id"] == "trace:1.2-3_4"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/feedback", 405, "method_not_allowed"),
        ("DELETE", "/v1/decisions", 405, "method_not_allowed"),
        ("GET", "/v1/decisions?limit=1000", 400, "invalid_request"),
        ("GET", "/v1/decisions?since=yesterday", 400, "invalid_request"),
        ("GET", "/v1/decisions/none-such", 404, "not_found"),
        ("GET", "/v1/decisions/%00", 400, "invalid_request"),
    ],
)
def test_errors_have_one_shape_everywhere(whole, method, path, status, code):
    error = whole.ask(method, path, status=status).json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["code"] == code


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer rk_wrong", "Basic eDp5", "rk_bare"])
def test_who_has_no_valid_key_is_401(whole, header):
    answer = whole.client.get("/v1/models", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["type"] == "authentication_error"


def test_scopes_open_what_they_name_and_nothing_else(whole):
    feedback, serve, read = (whole.key("default", one) for one in ("feedback", "serve", "read"))
    decision_id = whole.decision(key=serve)["decision_id"]
    whole.feedback(key=feedback, decision_id=decision_id, metric_name="rating", value=4)
    whole.feedback(key=serve, decision_id=decision_id, metric_name="rating", value=4)
    whole.ask("GET", f"/v1/decisions/{decision_id}", key=read)
    whole.ask("GET", f"/v1/decisions/{decision_id}", key=serve, status=403)
    whole.ask("GET", "/v1/models", key=feedback, status=403)
    whole.ask("PUT", "/v1/users/ann", key=read, json={}, status=403)
    whole.chat(key=read, status=403)
    admin = whole.key("default", "admin")
    whole.ask("GET", f"/v1/decisions/{decision_id}", key=admin)
    whole.chat(key=admin)


def test_a_key_bound_to_an_agent_speaks_for_it_alone(whole):
    bound = whole.key("default", *sorted(granted(["serve", "read"], agents=["customer_support"])))
    other = whole.decision()["decision_id"]
    mine = whole.decision(key=bound)["decision_id"]
    row = whole.store.decision(mine)
    assert row["agent_id"] == "customer_support"
    whole.chat(key=bound, status=403, **{"rapport::agent_id": "emotional_support"})
    whole.ask("GET", f"/v1/decisions/{other}", key=bound, status=404)
    whole.feedback(key=bound, decision_id=other, metric_name="rating", value=1, status=403)
    listed = whole.ask("GET", "/v1/decisions?limit=100", key=bound).json()["data"]
    assert {row["agent_id"] for row in listed} == {"customer_support"}


def test_a_key_asks_as_fast_as_its_tenant_lets_it(whole):
    key = whole.key("slow")
    seen = [
        whole.client.get("/v1/models", headers={"authorization": f"Bearer {key}"}) for _ in range(5)
    ]
    assert [answer.status_code for answer in seen[:3]] == [200, 200, 200]
    assert seen[4].status_code == 429
    assert 1 <= int(seen[4].headers["retry-after"]) <= 2
    assert seen[4].json()["error"]["type"] == "rate_limit_error"


def test_cors_is_off(whole):
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = whole.client.options("/v1/chat/completions", headers=headers)
    assert answer.status_code in (401, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_text_of_a_user_is_in_errors_or_logs(whole, caplog):
    caplog.set_level(logging.INFO, logger="rapport.serve")
    LOGGER.propagate = True
    user = {"id": f"{SECRET} {SECRET}", "attributes": {SECRET: 3}}
    asks = [
        {"messages": [{"role": "user", "content": SECRET}], "temperature": SECRET},
        {"messages": [{"role": SECRET, "content": SECRET}]},
        {"messages": [{"role": "user", "content": SECRET}], "rapport::user": user},
        {"messages": [{"role": "user", "content": SECRET}], "metadata": {SECRET: [SECRET]}},
        {"messages": [{"role": "user", "content": SECRET}], "model": f"{SECRET} !"},
    ]
    texts = [whole.ask("POST", "/v1/chat/completions", json=body, status=400).text for body in asks]
    texts.append(whole.ask("POST", "/v1/feedback", content=SECRET.encode(), status=400).text)
    whole.ask("GET", "/v1/models", headers={"x-user-id": SECRET})
    whole.chat(SECRET, user=SECRET)
    whole.ask("GET", f"/v1/users/{SECRET}/state")
    told = json.dumps([getattr(record, "facts", {}) for record in caplog.records])
    assert "/v1/chat/completions" in told
    for text in (*texts, told, whole.client.get("/metrics").text):
        assert SECRET not in text
        assert "rk_" not in text.replace("Bearer rk_...", "")


def test_many_at_once_are_refused_beyond_the_keys_places(whole):
    """`at_once: 2`: of three requests whose bodies are still coming, one is refused."""
    api, entered = whole.api, threading.Event()
    key = whole.key("slow", "serve")

    async def ask():
        release = asyncio.Event()

        async def held():
            entered.set()
            await release.wait()
            yield b"{}"

        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api), base_url="http://t", headers=headers
        ) as client:
            waiting = [
                asyncio.create_task(client.post("/v1/feedback", content=held())) for _ in range(2)
            ]
            await asyncio.sleep(0.3)
            third = await client.post("/v1/feedback", content=b"{}")
            release.set()
            return third, await asyncio.gather(*waiting)

    third, others = asyncio.run(ask())
    assert third.status_code == 429
    assert "retry-after" in third.headers
    assert {answer.status_code for answer in others} == {400}
