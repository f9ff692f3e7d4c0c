"""A graph without Ray over a home, and its caller."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from rapport.home import Home, user_key
from rapport.store import Store, open_store
from serve.app import AppConfig, Light, join
from serve.planner import in_control
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

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.api.post(path, json=body, headers=self.headers)

    def chat(self, said: str = CALM, *, status: int = 200, **fields: Any) -> Any:
        body = {
            "messages": [{"role": "user", "content": said}],
            "rapport::user": fields.pop("user", {"id": "ann"}),
            **fields,
        }
        answer = self.post("/v1/chat/completions", body)
        assert answer.status_code == status, answer.text
        return answer if body.get("stream") else answer.json()

    def rank(self, said: str = CALM, *, status: int = 200, **fields: Any) -> Any:
        answer = self.post("/v1/rank", {"user": "ann", "context": said, **fields})
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
    secret = Home(home).secret()
    names = (f"control-{i}" for i in range(10_000))
    return next(name for name in names if in_control(user_key(secret, "default", name)))
