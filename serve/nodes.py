"""The nodes as Ray runs them: a plain class in each, and handles called like the plain ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import torch
from fastapi import FastAPI
from numpy.typing import NDArray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from rapport.affect.scorers import AffectScorer, load_scorer
from rapport.errors import UnavailableError
from rapport.governance.guard import Guard
from rapport.home import home_of
from rapport.language.engine import Delta, GenerationRequest
from rapport.language.loading import best_hardware
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import model_id, pull

from .draining import Entrance, Visitors
from .joining import join, load_reader
from .logs import log_to
from .persona_model import Pair, PersonaModel
from .reading import Reader, Reading
from .settings import AppConfig, Live

READ_S = 10.0
TRIES = 3
"""Of a call that may be repeated: the replica that had it may have been killed."""
LOST = (RayActorError, RayServeException, GetTimeoutError, TimeoutError)


class RemotePersonaModel:
    """A persona model behind a Ray handle, called like the plain one.

    What a killed replica had begun is asked of another one, as long as no word has left.
    """

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._streaming: Any = handle.options(stream=True)

    async def stream(
        self, request: GenerationRequest, adapter_folder: str | None = None
    ) -> AsyncIterator[Delta]:
        """As `PersonaModel.stream`."""
        for left in reversed(range(TRIES)):
            begun, response = False, self._streaming.stream.remote(request, adapter_folder)
            try:
                async for delta in response:
                    begun = begun or bool(delta.text)
                    yield delta
            except LOST as error:
                if begun or not left:
                    raise _unavailable("persona model", error) from None
            except GeneratorExit:  # a caller who leaves stops the writing
                response.cancel()
                raise
            else:
                return

    async def score(
        self, pairs: Sequence[Pair], adapter_folder: str | None = None
    ) -> list[tuple[float, float]]:
        """As `PersonaModel.score`."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(*LOST):
                return await self._scored(pairs, adapter_folder)
        try:
            return await self._scored(pairs, adapter_folder)
        except LOST as error:
            raise _unavailable("persona model", error) from None

    async def _scored(
        self, pairs: Sequence[Pair], adapter_folder: str | None
    ) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = await self._handle.score.remote(pairs, adapter_folder)
        return found


class RemoteEncoder:
    """The text encoder of the reader nodes. For threads, not for an event loop."""

    def __init__(self, handle: DeploymentHandle[Any], encoder_id: str) -> None:
        self._handle, self.encoder_id = handle, encoder_id

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `TextEncoder.encode`."""
        found: NDArray[np.float32] = _asked("reader", lambda: self._handle.encode.remote(texts))
        return found


class RemoteReader(Reader):
    """A reader behind a Ray handle: messages are read there, replies are guarded here."""

    def __init__(
        self, handle: DeploymentHandle[Any], encoder: RemoteEncoder, scorer: AffectScorer
    ) -> None:
        super().__init__(encoder, scorer, Guard())
        self._handle = handle

    @classmethod
    def of(cls, handle: DeploymentHandle[Any], config: AppConfig) -> "RemoteReader":
        """Stand in for the reader nodes of a graph; loads no encoder."""
        encoder = RemoteEncoder(handle, model_id(pull(config.encoder)))
        models = home_of(config).root / "models"
        return cls(handle, encoder, load_scorer(models, encoder_id=encoder.encoder_id))

    def read(self, text: str) -> Reading:
        """As `Reader.read`, in one call."""
        found: Reading = _asked("reader", lambda: self._handle.read.remote(text))
        return found


class PersonaModelNode(PersonaModel):
    """A persona model that loads the language model itself, for a replica."""

    def __init__(self, config: AppConfig) -> None:
        torch.set_num_threads(config.threads)
        hardware = best_hardware(config.device)
        super().__init__(TransformersEngine(pull(config.language_model), hardware=hardware))


class ReaderNode:
    """What reads messages, for a replica."""

    def __init__(self, config: AppConfig) -> None:
        torch.set_num_threads(1)
        self._reader = load_reader(config)

    async def read(self, text: str) -> Reading:
        """As `Reader.read`."""
        return await asyncio.to_thread(self._reader.read, text)

    async def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `TextEncoder.encode`."""
        return await asyncio.to_thread(self._reader.encoder.encode, texts)


class GatewayNode:
    """The light nodes joined, for a replica; watches for releases and switches, and drains."""

    def __init__(
        self,
        config: AppConfig,
        writer: DeploymentHandle[Any] | None = None,
        reader: DeploymentHandle[Any] | None = None,
    ) -> None:
        torch.set_num_threads(1)
        log_to(home_of(config).logs)
        self._config, self._visitors = config, Visitors()
        remote = reader and RemoteReader.of(reader, config)
        model = RemotePersonaModel(writer) if writer else None
        self._light = join(config, model, remote or None)
        self._watching: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Give Ray Serve the application, and start the watch in the replica's loop."""
        self._watching = asyncio.get_running_loop().create_task(self._light.watch.run())
        api = self._light.gateway.api()
        api.add_middleware(Entrance, visitors=self._visitors)
        return api

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take what changed in the deployment's `user_config`."""
        live = self._config.live(Live.model_validate(user_config))
        self._light.exchanges.planner.explore = live.explore
        self._light.watch.poll_s = live.poll_s or self._config.poll_s

    async def check_health(self) -> None:
        """Ray replaces a replica whose watch has died: it would serve an old release for ever."""
        if self._watching is not None and self._watching.done():
            self._watching.result()

    async def drain(self) -> int:
        """Take no new request and let running ones finish; how many had not after the grace."""
        return await self._visitors.drained(grace_s=self._config.grace_s)

    def __del__(self) -> None:
        """Write what waits and close the store; Ray calls it once no request runs."""
        if hasattr(self, "_light"):
            self._light.close()


def _asked(node: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
    for _ in range(TRIES - 1):
        with contextlib.suppress(*LOST):
            return call().result(timeout_s=READ_S)
    try:
        return call().result(timeout_s=READ_S)
    except LOST as error:
        raise _unavailable(node, error) from None


def _unavailable(node: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"the {node} does not answer ({type(error).__name__}); try again")
