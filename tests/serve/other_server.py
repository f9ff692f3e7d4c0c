"""A second OpenAI-compatible server: it does as the test says and keeps what it was sent."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

REPLY = "That sounds hard. What happened before it began?"
KEY = "sk-upstream-only"
MODEL = "their-model:8b"
USAGE = {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"mail": "ann@example.org"}'},
}


@dataclass
class OtherServer:
    """What it answers next, and what it was sent."""

    reply: str = REPLY
    message: dict[str, Any] | None = None
    """A whole message in place of the reply, such as a call of a tool."""
    finish: str = "stop"
    statuses: list[tuple[int, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """Errors to answer first, one a request: status, body, headers."""
    before_s: float = 0.0
    """Seconds until the answer begins."""
    stall_after: int | None = None
    """Chunks after which a stream says nothing for a long time."""
    cut_after: int | None = None
    """Chunks after which a stream breaks off."""
    refuses: str | None = None
    """A field that it does not know."""
    knows_usage: bool = True
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def last(self) -> dict[str, Any]:
        """The last request."""
        found: dict[str, Any] = json.loads(self.bodies[-1])
        return found

    async def chat(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        asked = json.loads(body)
        if self.statuses:
            status, told, headers = self.statuses.pop(0)
            return JSONResponse(told, status_code=status, headers=headers)
        if self.refuses and self.refuses in asked:
            error = {"code": "unknown_parameter", "param": self.refuses, "message": "Unknown: x"}
            return JSONResponse({"error": error}, status_code=400)
        await asyncio.sleep(self.before_s)
        if asked.get("stream"):
            return StreamingResponse(self._events(asked), media_type="text/event-stream")
        return JSONResponse(self.completion(asked))

    def completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        message = self.message or {"role": "assistant", "content": self.reply, "refusal": None}
        choices = [
            {"index": i, "message": message, "logprobs": {"content": []}, "finish_reason": self.end}
            for i in range(asked.get("n", 1))
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": USAGE}

    @property
    def end(self) -> str:
        return "tool_calls" if (self.message or {}).get("tool_calls") else self.finish

    async def _events(self, asked: dict[str, Any]) -> Any:
        for place, chunk in enumerate(self.chunks(asked)):
            if place == self.stall_after:
                await asyncio.sleep(30)
            if place == self.cut_after:
                raise ConnectionAbortedError
            yield f"data: {json.dumps(chunk)}\n\n"
            await asyncio.sleep(0.005)
        yield "data: [DONE]\n\n"

    def chunks(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        said = self.message or {"role": "assistant", "content": self.reply}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word + " "} for word in (said.get("content") or "").split()]
        calls = said.get("tool_calls") or []
        deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(calls)]
        several = range(asked.get("n", 1))
        made = [self._chunk(i, delta, None) for delta in deltas for i in several]
        made += [self._chunk(i, {}, self.end) for i in several]
        if self.knows_usage and (asked.get("stream_options") or {}).get("include_usage"):
            made.append({**self._head("chat.completion.chunk"), "choices": [], "usage": USAGE})
        return made

    def _chunk(self, index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        head = {"id": "chatcmpl-theirs", "object": kind, "created": 7, "model": "their-model-0125"}
        return {**head, "system_fingerprint": "fp_1"}

    async def models(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "bad key"}}, status_code=401)
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


@contextmanager
def other_server() -> Iterator[OtherServer]:
    """Serve it on a free port of loopback for the length of a block."""
    script, api = OtherServer(), FastAPI()
    api.post("/v1/chat/completions", response_model=None)(script.chat)
    api.get("/v1/models", response_model=None)(script.models)
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    script.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield script
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
