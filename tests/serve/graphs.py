"""A graph without Ray over a home, and its caller."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from rapport.home import Home, user_key
from rapport.policy.control import in_control
from rapport.store import Store, open_store
from serve.app import AppConfig, Light, join
from tests.serve import small_home
from tests.serve.small_home import ScriptedWriter

CALM = "I feel low about work, what should I do?"


@dataclass
class Graph:
    """The light nodes over a home, with a writer that can be told what to write."""

    home: Path
    api: TestClient
    key: str
    writer: ScriptedWriter
    store: Store = field(repr=False)
    light: Light = field(repr=False)

    @cached_property
    def user(self) -> str:
        """Name of a user who is not of the control group; whoever is depends on the home."""
        return _named(self.home, control=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.api.post(path, json=body, headers=self.headers)

    def chat(self, said: str = CALM, *, status: int = 200, **fields: Any) -> Any:
        body = {
            "messages": [{"role": "user", "content": said}],
            "rapport::user": fields.pop("user", {"id": self.user}),
            **fields,
        }
        answer = self.post("/v1/chat/completions", body)
        assert answer.status_code == status, answer.text
        return answer if body.get("stream") else answer.json()

    def say(self, said: str = CALM, *, stream: bool, **fields: Any) -> tuple[str, dict[str, Any]]:
        """What a chat request is answered, and its decision as it was logged."""
        answer = self.chat(said, stream=stream, **fields)
        if not stream:
            row = self.store.decision(answer["rapport"]["decision_id"])
            text = answer["choices"][0]["message"]["content"]
        else:
            row = self.store.decision(answer.headers["x-rapport-decision-id"])
            text = _streamed(answer.text)
        assert row is not None
        return text, row

    def ways(self) -> dict[str, dict[str, Any]]:
        """Every way to ask for a chat reply, by name."""
        models = [m["id"] for m in self.api.get("/v1/models", headers=self.headers).json()["data"]]
        modes = ("observe", "arm_first", "rerank", "control")
        return {
            "as it comes": {},
            **{mode: {"rapport::mode": mode} for mode in modes},
            "pinned": {"model": next(m for m in models if m.startswith("rapport:"))},
            "base": {"model": next(m for m in models if ":" not in m and m != "rapport")},
            "adapter": {"model": next(m for m in models if ":" in m and "rapport" not in m)},
        }

    def rank(self, said: str = CALM, *, status: int = 200, **fields: Any) -> Any:
        answer = self.post("/v1/rank", {"user": self.user, "context": said, **fields})
        assert answer.status_code == status, answer.text
        return answer.json()


def graph_over(home: Path, *, encoder: str | None = None, **settings: Any) -> Graph:
    """Join the light nodes over a home."""
    writer = ScriptedWriter()
    config = AppConfig(home=home, encoder=encoder or f"file:{home}/encoder", **settings)
    light = join(config, writer)
    api = TestClient(light.gateway.api())
    store = open_store(Home(home).store_url)
    return Graph(home, api, small_home.key_of(home), writer, store, light)


def control_user(home: Path) -> str:
    """Name of a user who belongs to the control group."""
    return _named(home, control=True)


def _named(home: Path, *, control: bool) -> str:
    secret = Home(home).secret()
    names = (f"ann-{i}" for i in range(10_000))
    return next(n for n in names if in_control(user_key(secret, "default", n)) == control)


def _streamed(body: str) -> str:
    events = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
