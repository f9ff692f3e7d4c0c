"""The graph, and the one place that builds it.

topology: fused                              topology: spread

 HTTP ─> Gateway                              HTTP ─> Gateway ───────────> Reader
         edge, guard, reading,                        edge, guard,   read   encoder, emotion,
         state, router, reranker,                     state, router,        crisis
         store                                        reranker, store
           │ stream, score                              │ stream, score
           v                                            v
         PersonaModel                                 PersonaModel
         language model, every adapter                language model, every adapter

Each box is a deployment of its own with its own autoscaling. A hop between two costs 4 to 7 ms,
so a node leaves the gateway only where it works for longer: reading a message takes about 20 ms of
a processor, routing and drawing one millisecond together, and they need the release whole. In both
topologies every persona model serves every adapter. Gateway, router, reranker and reader are plain
classes (`joining.join` joins them); `nodes` wraps them for Ray. With an upstream attached no
PersonaModel is deployed: gateways ask it themselves.
"""

from typing import Any

from ray import serve
from ray.serve import Application

from rapport.config import resolve

from .joining import Light, join
from .nodes import GatewayNode, PersonaModelNode, ReaderNode
from .settings import AppConfig, Node

__all__ = ["AppConfig", "Light", "build", "join"]


def build(args: AppConfig) -> Application:
    """Build the graph drawn at the top of this module.

    What the arguments leave open is taken from the environment of the node that builds, such as a
    store's address with its password.

    Raises:
        ConfigError: More gateways than the store takes.
    """
    args = resolve(AppConfig, section="serve", flags=args.model_dump(exclude_unset=True))
    args.check_gateways()
    writer = reader = None
    if args.upstream is None:
        writer = _node("PersonaModel", PersonaModelNode, args.writer).bind(args)
    if args.topology == "spread":
        reader = _node("Reader", ReaderNode, args.reader).bind(args)
    live = {"user_config": args.live().model_dump()}
    gateway = _node("Gateway", serve.ingress()(GatewayNode), args.gateway, **live)
    application: Application = gateway.bind(args, writer, reader)
    return application


def _node(name: str, plain: type, settings: Node, **more: Any) -> Any:  # noqa: ANN401
    return serve.deployment(name=name, **settings.options(), **more)(plain)
