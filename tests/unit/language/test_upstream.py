"""What our client checks before anything is sent, and what it makes of odd answers."""

import asyncio
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rapport.errors import ConfigError, UpstreamDownError, UpstreamSetupError
from rapport.language.settings import UpstreamSettings
from rapport.language.upstream import Upstream, _pause, find_models

URL = "http://127.0.0.1:9/v1"
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": null}]}\n\n'


@contextmanager
def answering(body, *, status=200, kind="application/json", before_s=0.0):
    """A server that gives one answer to whatever is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            time.sleep(before_s)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield UpstreamSettings(url=f"http://127.0.0.1:{server.server_port}/v1", model="m")
    finally:
        server.shutdown()
        server.server_close()


def all_of(settings):
    async def gather():
        return [chunk async for chunk in Upstream(settings).stream(b"{}")]

    return asyncio.run(gather())


@pytest.mark.parametrize(
    "url",
    ["api.openai.com/v1", "ftp://host/v1", "https://user:key@host/v1", "https://host/v1?key=1"],
)
def test_an_address_must_be_one_and_hold_no_key(url):
    with pytest.raises(ValueError, match="url"):
        UpstreamSettings(url=url, model="m")


def test_an_address_may_be_the_whole_one():
    found = UpstreamSettings(url="https://host/v1/chat/completions/", model="m")
    assert found.url == "https://host/v1"


def test_a_key_that_is_not_there_is_named_by_its_variable(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        Upstream(UpstreamSettings(url=URL, model="m", key_env="NO_SUCH_KEY"))


def test_a_cost_needs_both_prices():
    settings = UpstreamSettings(url=URL, model="m", price_in=2.0, price_out=8.0)
    assert settings.cost(1000, 500) == pytest.approx(0.006)  # .002 and .004
    assert UpstreamSettings(url=URL, model="m", price_in=2.0).cost(1000, 500) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0.5),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "9", "retry-after-ms": "20"}, 0.02),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after": formatdate(0)}, 0.0),
    ],
)
def test_a_pause_is_as_long_as_the_upstream_asks(headers, expected):
    assert _pause(headers, 0.5) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CHUNK, "cut off"),
        (CHUNK + b"data: nonsense\n\n", "garbled"),
        (b'data: {"choices": [{"index": 999999}]}\n\n', "garbled"),
        (b'data: {"choices": [{"delta": "text"}]}\n\n', "garbled"),
        (CHUNK + b'data: {"error": {"message": "secret"}}\n\n', "failing"),
    ],
)
def test_a_stream_that_makes_no_sense_is_down(body, reason):
    with (
        answering(body, kind="text/event-stream") as settings,
        pytest.raises(UpstreamDownError) as down,
    ):
        all_of(settings)
    assert down.value.reason == reason
    assert "secret" not in str(down.value)


def test_a_stream_that_says_nothing_for_too_long_is_slow_and_a_whole_reply_is_not():
    with answering(b'{"choices": []}', before_s=0.5) as settings:
        hasty = settings.model_copy(update={"read_s": 0.2})
        with pytest.raises(UpstreamDownError, match="slow"):
            all_of(hasty)
        assert asyncio.run(Upstream(hasty).complete(b"{}")) == {"choices": []}


def test_a_stream_may_end_with_done_or_with_its_last_reply():
    ended = CHUNK.replace(b"null", b'"stop"')
    for body in (CHUNK + b"data: [DONE]\n\n", ended):
        with answering(body, kind="text/event-stream; charset=utf-8") as settings:
            assert len(all_of(settings)) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"object": "list"}'])
def test_a_whole_answer_that_is_none_is_down(body):
    with answering(body) as settings, pytest.raises(UpstreamDownError, match="garbled"):
        asyncio.run(Upstream(settings).complete(b"{}"))


@pytest.mark.parametrize("status", [301, 405])
def test_an_address_that_leads_elsewhere_is_the_operators(status):
    with (
        answering(b"", status=status) as settings,
        pytest.raises(UpstreamSetupError, match="address"),
    ):
        asyncio.run(Upstream(settings).complete(b"{}"))


def test_models_are_named_where_the_upstream_tells_them():
    with answering(b'{"data": [{"id": "a"}, {"id": "b"}]}') as settings:
        assert find_models(settings) == ["a", "b"]
    with answering(b"{}", status=404) as settings:
        assert find_models(settings) is None
    with answering(b"{}", status=401) as settings, pytest.raises(UpstreamSetupError, match="key"):
        find_models(settings)
    with pytest.raises(UpstreamDownError):
        find_models(UpstreamSettings(url=URL, model="m"))


def test_one_client_serves_several_event_loops():
    with answering(b'{"choices": []}') as settings:
        upstream = Upstream(settings)
        for _ in range(2):
            assert asyncio.run(upstream.complete(b"{}")) == {"choices": []}
