"""The whole API over a fresh home, with a tiny model and several tenants, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from rapport.governance.access import APPLICATION, fresh_key, key_hash
from rapport.home import Home
from rapport.store import Store, open_store
from serve.app import AppConfig, join
from serve.ranking import Writer

TENANTS = """
acme:
  default_age_band: adult
  default_purposes: [serve, memory, analytics, train, experiment, infer_affect]
  explore: adults
  metrics:
    nps: {kind: float, low: 0, high: 10, channel: rating}
    effort: {kind: float, low: 1, high: 7, better: low}
    resolved: {kind: boolean, channel: task_success}
    remark: {kind: text}
strict: {}
slow:
  rates: {per_s: 0.5, burst: 3, at_once: 2}
"""


@dataclass
class Served:
    """An API over a home, and keys to it."""

    home: Path
    store: Store
    api: FastAPI
    client: TestClient
    keys: dict[Any, str] = field(default_factory=dict)

    def key(self, tenant="default", *scopes, **more):
        """A key of a tenant; the same one for the same scopes."""
        name = (tenant, scopes, tuple(more.items()))
        if name not in self.keys:
            self.keys[name] = fresh_key()
            kept = frozenset(scopes) or APPLICATION
            self.store.keys.add(key_hash(self.keys[name]), tenant=tenant, scopes=kept, **more)
        return self.keys[name]

    def ask(self, method, path, *, key=None, status=200, headers=None, **more):
        """Ask, expecting a status; gives the answer."""
        key = self.key() if key is None else key
        headers = {"authorization": f"Bearer {key}", **(headers or {})}
        answer = self.client.request(method, path, headers=headers, **more)
        assert answer.status_code == status, answer.text
        return answer

    def chat(self, said="I feel low about work.", *, key=None, status=200, **fields):
        """One message; gives the answer."""
        messages = [{"role": "user", "content": said}]
        body = {"messages": messages, "max_tokens": 4, **fields}
        return self.ask("POST", "/v1/chat/completions", json=body, key=key, status=status)

    def decision(self, said="I feel low about work.", **fields):
        """The `rapport` object of one reply."""
        return self.chat(said, **fields).json()["rapport"]

    def feedback(self, *, key=None, status=200, **fields):
        """Give feedback; gives the answer's body."""
        return self.ask("POST", "/v1/feedback", json=fields, key=key, status=status).json()


@contextmanager
def whole_api(home: Home, writer: Writer, **settings: Any) -> Iterator[Served]:
    """Join the light nodes over a home whose tenants are those of `TENANTS`."""
    home.tenants.write_text(TENANTS, encoding="utf-8")
    light = join(AppConfig(home=home.root, **settings), writer)
    api, store = light.gateway.api(), open_store(home.store_url)
    with TestClient(api, raise_server_exceptions=False) as client:
        yield Served(home.root, store, api, client)
    store.close()
    light.close()
