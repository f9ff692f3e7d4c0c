"""The light nodes over a fresh home, behind a real HTTP server, in seconds and without Ray."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from rapport.governance.access import APPLICATION, fresh_key, key_hash
from rapport.home import home_of
from rapport.language.transformers_engine import TransformersEngine
from rapport.store import Store, open_store
from rapport.testing import tiny_language_model
from serve.app import AppConfig, Light, join
from serve.persona_model import PersonaModel
from serve.ranking import Writer

SAID = "I feel low about work, what should I do?"


@dataclass
class Graph:
    """A served home and a client of its tenant."""

    light: Light
    store: Store
    client: httpx.Client
    key: str = ""

    def decision(self, decision_id: str) -> dict[str, Any]:
        """A decision as the store has it."""
        found = self.store.decision(decision_id)
        assert found is not None
        return found

    def chat(self, said: str = SAID, **fields: Any) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json=body(said, **fields))


def body(said: str = SAID, **fields: Any) -> dict[str, Any]:
    """A chat request; what a user says is `said`."""
    asked = {"messages": [{"role": "user", "content": said}], "max_tokens": 4}
    return {**asked, "rapport::user": {"id": "ann"}, **fields}


def tiny_writer(folder: Path) -> PersonaModel:
    """A persona model that answers nonsense, fast."""
    return PersonaModel(TransformersEngine(tiny_language_model(folder)))


@contextmanager
def serving(config: AppConfig, writer: Writer | None = None) -> Iterator[Graph]:
    """Serve a home on a free port of loopback for the length of a block."""
    light = join(config, writer)
    store = open_store(home_of(config).store_url)
    key = fresh_key()
    store.keys.add(key_hash(key), tenant="default", scopes=APPLICATION, label="test")
    settings = uvicorn.Config(light.gateway.api(), port=0, log_level="error")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{_port(server)}"
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield Graph(light, store, client, key)
    finally:
        server.should_exit = True
        thread.join(30)
        light.close()
        store.close()


def _port(server: uvicorn.Server) -> int:
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
