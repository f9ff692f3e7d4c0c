"""The graph, and the one place that builds it.

topology: fused

    HTTP ──> Gateway  (one replica: edge, guard, state, router, reranker, store)
                │  handle, streamed
                v
             PersonaModel  (its own deployment: the language model and every persona's adapter)

Gateway, router and reranker are plain classes; only this module wraps them for Ray.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from fastapi import FastAPI
from pydantic import Field
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from rapport.affect.scorers import load_scorer
from rapport.config import ENCODER_URI, LANGUAGE_URI, HomeConfig
from rapport.governance.guard import Guard
from rapport.governance.tenants import load_tenants
from rapport.home import home_of
from rapport.language.engine import Delta, GenerationRequest
from rapport.language.transformers_engine import TransformersEngine
from rapport.models import pull
from rapport.store import GroupCommitter, open_store
from rapport.text import load_encoder

from .bundle import Bundles
from .exchange import Exchanges
from .feedback import Feedbacks
from .gateway import Gateway
from .ledger import Ledger
from .minds import Minds
from .parties import Parties
from .persona_model import Pair, PersonaModel
from .ranking import Writer
from .reading import Reader

BASE_MODEL = "smollm2-135m-instruct"


class AppConfig(HomeConfig):
    """Arguments of `build`; `serve/config.yaml` holds them under `args`."""

    topology: Literal["fused"] = "fused"
    encoder: str = ENCODER_URI
    language_model: str = LANGUAGE_URI
    base_model: str = BASE_MODEL
    """Name under which clients ask for the language model itself."""
    explore: float | None = Field(default=None, ge=0, le=0.5)
    """Share of exchanges whose arm is drawn although no release was promoted."""
    poll_s: float = Field(default=5.0, gt=0)
    """Seconds between two looks at `releases/CURRENT`."""
    persona_replicas: int = Field(default=1, ge=1)
    """Most replicas of the persona model; one is always kept."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of a persona model."""


class RemotePersonaModel:
    """A persona model behind a Ray handle, called like the plain one."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def stream(
        self, request: GenerationRequest, adapter_folder: str | None = None
    ) -> AsyncIterator[Delta]:
        """As `PersonaModel.stream`."""
        streaming: Any = self._handle.options(stream=True)
        async for delta in streaming.stream.remote(request, adapter_folder):
            yield delta

    async def score(
        self, pairs: Sequence[Pair], adapter_folder: str | None = None
    ) -> list[tuple[float, float]]:
        """As `PersonaModel.score`."""
        found: list[tuple[float, float]] = await self._handle.score.remote(pairs, adapter_folder)
        return found


class PersonaModelNode(PersonaModel):
    """A persona model that loads the language model itself, for a replica."""

    def __init__(self, config: AppConfig) -> None:
        torch.set_num_threads(config.threads)
        super().__init__(TransformersEngine(pull(config.language_model)))


@dataclass(frozen=True)
class Light:
    """The light nodes of the graph, joined: all of it but the writing of replies."""

    gateway: Gateway
    bundles: Bundles
    minds: Minds


def join(config: AppConfig, writer: Writer) -> Light:
    """Join gateway, router and reranker over a home; no Ray needed."""
    home = home_of(config)
    encoder, scorer = load_encoder(config.encoder), load_scorer(home.root / "models")
    store = open_store(home.store_url)
    committer = GroupCommitter(store)
    bundles, minds = Bundles(home.releases), Minds(store, encoder.encoder_id)
    parties = Parties(
        store,
        secret=home.secret(),
        tenants=load_tenants(home.tenants),
        base_model=config.base_model,
    )
    exchanges = Exchanges(
        bundles=bundles,
        store=store,
        reader=Reader(encoder, scorer, Guard(encoder)),
        minds=minds,
        parties=parties,
        ledger=Ledger(committer, parties),
        writer=writer,
        explore=config.explore,
    )
    return Light(Gateway(exchanges, Feedbacks(store, committer, scorer)), bundles, minds)


class GatewayNode:
    """The light nodes fused into one replica, watching for new releases."""

    def __init__(self, config: AppConfig, writer: DeploymentHandle[Any]) -> None:
        torch.set_num_threads(1)
        self._light, self._poll_s = join(config, RemotePersonaModel(writer)), config.poll_s
        self._watching: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Give Ray Serve the application, and start the watch in the replica's loop."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        return self._light.gateway.api()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            if await asyncio.to_thread(self._light.bundles.refresh):
                self._light.minds.forget_all()


def build(args: AppConfig) -> Application:
    """Build the graph drawn at the top of this module."""
    writer = serve.deployment(
        max_ongoing_requests=64,
        autoscaling_config={"min_replicas": 1, "max_replicas": args.persona_replicas},
        ray_actor_options={"num_cpus": 0.5},
        name="PersonaModel",
    )(PersonaModelNode).bind(args)
    ingress = serve.deployment(
        max_ongoing_requests=256,
        num_replicas=1,
        ray_actor_options={"num_cpus": 0.5},
        name="Gateway",
    )(serve.ingress()(GatewayNode))
    return ingress.bind(args, writer)
