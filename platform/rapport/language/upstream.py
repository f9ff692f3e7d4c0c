"""Somebody else's model: any server that speaks the OpenAI API, hosted or next door."""

import asyncio
import email.utils
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import httpx2

from rapport.config import secret_in
from rapport.errors import (
    RapportError,
    UpstreamDownError,
    UpstreamRefusedError,
    UpstreamSetupError,
)
from rapport.language.settings import UpstreamSettings

LONGEST_WAIT_S = 5.0
"""An upstream that asks for a longer pause than this before a retry counts as busy."""
MAX_REPLY_BYTES = 8 << 20
MAX_CHOICES = 128
_FIRST_WAIT_S = 0.25
_ERROR_BYTES = 16 << 10
_NAME = re.compile(r"[\w.\[\]/-]{1,80}", flags=re.ASCII)
_NEVER_ANSWERED = (httpx2.NetworkError, httpx2.ProtocolError, httpx2.ConnectTimeout)
_SETUP: Mapping[int, tuple[str, str]] = {
    401: ("key", "set the variable that key_env names to a key of the upstream"),
    403: ("key", "give it a key that may use this model"),
    404: ("model", "set model to one that the upstream lists, and url up to and with /v1"),
    405: ("address", "set url to where its API begins, up to and with /v1"),
}


class Upstream:
    """Send requests on and give back what comes, as it comes.

    Requests are JSON bodies already, sent byte by byte; replies are what the server's JSON says.
    Sent again is only what was not answered at all or with 408, 429 or 5xx, never a reply that has
    begun, at most `retries` times, after the pause the server asks for. Any number of tasks share
    it; connections belong to the event loop that opened them.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        """Take settings; the key is read now and kept in memory alone.

        Raises:
            ConfigError: The variable that should hold the key is not set.
        """
        self.settings = settings
        key = {"Authorization": f"Bearer {secret_in(settings.key_env)}"} if settings.key_env else {}
        self._headers = {**key, "Content-Type": "application/json"}
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = (
            WeakKeyDictionary()
        )

    async def complete(self, body: bytes) -> dict[str, Any]:
        """Get a whole chat completion. How long that may take is for the caller to say.

        Raises:
            UpstreamDownError: It is unreachable, slow, busy or failing.
            UpstreamSetupError: It refuses our key, model or address.
            UpstreamRefusedError: It refuses this request.
        """
        async with self._answered(body, read_s=None) as response:
            raw = await _bounded(response, MAX_REPLY_BYTES)
        found = _json(raw)
        if not found or not _is_chat(found):
            raise UpstreamDownError("garbled")
        return found

    async def stream(self, body: bytes) -> AsyncGenerator[dict[str, Any]]:
        """Yield the chunks of a chat completion, as parsed JSON.

        Raises:
            UpstreamDownError: As `complete`; also when it breaks off before a reply has ended.
            UpstreamSetupError: As `complete`.
            UpstreamRefusedError: As `complete`.
        """
        ended = False
        async with self._answered(body, read_s=self.settings.read_s) as response:
            async for event in httpx2.EventSource(response):
                if event.data.strip() == "[DONE]":
                    return
                chunk = _json(event.data.encode())
                if not chunk or not _is_chat(chunk):
                    raise UpstreamDownError("failing" if chunk and "error" in chunk else "garbled")
                ended |= any(choice.get("finish_reason") for choice in chunk["choices"])
                yield chunk
        if not ended:
            raise UpstreamDownError("cut off")

    @asynccontextmanager
    async def _answered(
        self, body: bytes, *, read_s: float | None
    ) -> AsyncGenerator[httpx2.Response]:
        response = await self._sent(body, read_s=read_s)
        try:
            yield response
        except httpx2.TimeoutException as error:
            raise UpstreamDownError("slow") from error
        except httpx2.HTTPError as error:
            raise UpstreamDownError("cut off") from error
        finally:
            await response.aclose()

    async def _sent(self, body: bytes, *, read_s: float | None) -> httpx2.Response:
        failed: RapportError = UpstreamDownError("unreachable")
        for attempt in range(self.settings.retries + 1):
            wait_s = _FIRST_WAIT_S * 2**attempt
            try:
                response = await self._post(body, read_s=read_s)
            except _NEVER_ANSWERED:
                failed = UpstreamDownError("unreachable")
            except httpx2.PoolTimeout as error:
                raise UpstreamDownError("busy") from error
            except httpx2.TimeoutException as error:
                raise UpstreamDownError("slow") from error
            else:
                if response.is_success:
                    return response
                failed = await _problem(response)
                wait_s = _pause(response.headers, wait_s)
                if not isinstance(failed, UpstreamDownError):
                    raise failed
            if wait_s > LONGEST_WAIT_S or attempt == self.settings.retries:
                break
            await asyncio.sleep(wait_s)
        raise failed

    async def _post(self, body: bytes, *, read_s: float | None) -> httpx2.Response:
        client, wait_s = self._client(), self.settings.connect_s
        request = client.build_request(
            "POST",
            f"{self.settings.url}/chat/completions",
            content=body,
            headers=self._headers,
            timeout=httpx2.Timeout(read_s, connect=wait_s, write=wait_s, pool=wait_s),
        )
        return await client.send(request, stream=True)

    def _client(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            limits = httpx2.Limits(max_connections=self.settings.connections)
            self._clients[loop] = httpx2.AsyncClient(limits=limits)
        return self._clients[loop]


def find_models(settings: UpstreamSettings) -> list[str] | None:
    """Ask an upstream which models it has; none where it does not tell.

    Raises:
        ConfigError: The variable that should hold the key is not set.
        UpstreamDownError: It does not answer.
        UpstreamSetupError: It refuses the key.
    """
    key = {"Authorization": f"Bearer {secret_in(settings.key_env)}"} if settings.key_env else {}
    try:
        found = httpx2.get(f"{settings.url}/models", headers=key, timeout=settings.connect_s)
    except httpx2.HTTPError as error:
        raise UpstreamDownError("unreachable") from error
    if found.status_code in (401, 403):
        raise UpstreamSetupError(found.status_code, *_SETUP[found.status_code])
    listed = (_json(found.content) or {}).get("data") if found.is_success else None
    if not isinstance(listed, list):
        return None
    return [str(model["id"]) for model in listed if isinstance(model, dict) and "id" in model]


async def _problem(response: httpx2.Response) -> RapportError:
    """What an answer other than success means; of its text only names of fields and codes."""
    status = response.status_code
    try:
        told = _json(await _bounded(response, _ERROR_BYTES)) or {}
    except (httpx2.HTTPError, UpstreamDownError):
        told = {}
    finally:
        await response.aclose()
    if status == 429:
        return UpstreamDownError("busy")
    if status == 408 or status >= 500:
        return UpstreamDownError("failing")
    if status in _SETUP:
        return UpstreamSetupError(status, *_SETUP[status])
    if status < 400:
        return UpstreamSetupError(status, *_SETUP[405])
    error = told.get("error")
    fields = error if isinstance(error, dict) else told
    return UpstreamRefusedError(status, _name(fields.get("code")), _name(fields.get("param")))


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _pause(headers: Mapping[str, str], otherwise_s: float) -> float:
    """Seconds an upstream asks to be left alone for: a number, milliseconds, or a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.isascii() and value.replace(".", "", 1).isdigit():
            return float(value) * unit
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(email.utils.mktime_tz(date) - time.time(), 0.0) if date else otherwise_s


async def _bounded(response: httpx2.Response, most: int) -> bytes:
    raw = bytearray()
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > most:
            raise UpstreamDownError("sending too much")
    return bytes(raw)


def _json(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_chat(found: Mapping[str, Any]) -> bool:
    choices = found.get("choices")
    return isinstance(choices, list) and all(_is_choice(choice) for choice in choices)


def _is_choice(found: object) -> bool:
    if not isinstance(found, dict) or found.get("index", 0) not in range(MAX_CHOICES):
        return False
    said = found.get("message", found.get("delta"))
    return said is None or isinstance(said, dict)
