"""A client of the retired Azure Personalizer, written from its public specification v1.0.

It knows the wire format and nothing of this project: what it sends is what the old SDKs send, and
like them it takes any other status than 201 and 204 for a failure.
"""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote


class RefusedError(Exception):
    """The service refused; `status` and the `error` object of its body."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(status, error)
        self.status, self.error = status, error


class PersonalizerClient:
    """Rank, reward, activate."""

    def __init__(self, endpoint: str, key: str) -> None:
        self._base = f"{endpoint.rstrip('/')}/personalizer/v1.0"
        self._headers = {"Ocp-Apim-Subscription-Key": key, "Accept": "application/json"}

    def rank(self, actions: list[dict[str, Any]], **more: Any) -> Any:
        body = {"actions": actions, **more}
        return json.loads(self._post("/rank", 201, body))

    def reward(self, event_id: str, value: float) -> None:
        self._post(f"/events/{quote(event_id, safe='')}/reward", 204, {"value": value})

    def activate(self, event_id: str) -> None:
        self._post(f"/events/{quote(event_id, safe='')}/activate", 204, None)

    def _post(self, path: str, wanted: int, body: dict[str, Any] | None) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        headers = self._headers if body is None else {
            **self._headers, "Content-Type": "application/json; charset=utf-8"
        }  # fmt: skip
        request = urllib.request.Request(
            self._base + path, data=data, headers=headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == wanted, answer.status
                return bytes(answer.read())
        except HTTPError as error:
            raise RefusedError(error.code, json.loads(error.read())["error"]) from None
