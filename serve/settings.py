"""Settings of the graph: what is built, how each node scales, and what may change while it runs."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy.engine import make_url

from rapport.config import ENCODER_URI, LANGUAGE_URI, Config, Device, HomeConfig
from rapport.errors import ConfigError
from rapport.home import home_of
from rapport.language.settings import UpstreamSettings

from .limits import Limits
from .wire import Mode

BASE_MODEL = "smollm2-135m-instruct"
Topology = Literal["fused", "spread"]


class Autoscaling(Config):
    """How many replicas a node has; names are Ray Serve's."""

    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: float = Field(default=8, gt=0)
    """Requests being answered per replica; raising it keeps fewer replicas busier."""
    upscale_delay_s: float = Field(default=5, ge=0)
    """Seconds of too much work before a replica is added."""
    downscale_delay_s: float = Field(default=60, ge=0)
    """Seconds of too little work before a replica goes, its requests finished."""
    look_back_period_s: float = Field(default=5, gt=0)
    metrics_interval_s: float = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} is above max_replicas")
        return self


class Actor(Config):
    """What one replica takes of its machine."""

    num_cpus: float = Field(default=0.5, ge=0)
    """Bookkeeping for placement; a replica is not held to it."""
    num_gpus: float = Field(default=0, ge=0)


class Node(Config):
    """One autoscaled deployment; names are those of Ray Serve's `deployments`."""

    autoscaling_config: Autoscaling = Autoscaling()
    ray_actor_options: Actor = Actor()
    max_ongoing_requests: int = Field(default=64, ge=1)
    """Requests a replica takes at once; more wait at their callers."""
    max_queued_requests: int = Field(default=512, ge=1)
    """Requests that wait at one caller; more are refused at once."""
    max_replicas_per_node: int | None = Field(default=None, ge=1)
    """1 keeps a lost machine from taking two replicas with it."""
    graceful_shutdown_timeout_s: float = Field(default=30, gt=0)
    """Seconds a replica that goes may take to finish its requests."""

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:  # noqa: ANN401
        """Let a section name only what differs from this node's own defaults."""
        for name in ("autoscaling_config", "ray_actor_options"):
            given = values.get(name) if isinstance(values, dict) else None
            if isinstance(given, dict):
                values = {**values, name: {**cls.model_fields[name].default.model_dump(), **given}}
        return values

    def options(self) -> dict[str, Any]:
        """Give them as Ray Serve's options of a deployment."""
        given = self.model_dump(exclude_none=True)
        if not self.ray_actor_options.num_gpus:
            del given["ray_actor_options"]["num_gpus"]
        return given


class GatewaySettings(Node):
    """The ingress: edge, routing, drawing and the store; more than one need PostgreSQL."""

    autoscaling_config: Autoscaling = Autoscaling(target_ongoing_requests=32)
    max_ongoing_requests: int = Field(default=256, ge=1)


class ReaderSettings(Node):
    """What reads messages, in `spread`: about 20 ms of one processor a message."""

    autoscaling_config: Autoscaling = Autoscaling(target_ongoing_requests=2)


class PersonaModelSettings(Node):
    """What writes replies: a batch of 8 places, so a replica is full at 8 replies."""

    autoscaling_config: Autoscaling = Autoscaling(target_ongoing_requests=6)


class Live(Config):
    """What changes without a new replica: `user_config` of the deployment `Gateway`."""

    explore: float | None = Field(default=None, ge=0, le=0.5)
    poll_s: float | None = Field(default=None, gt=0)


class AppConfig(HomeConfig):
    """Arguments of `build`; `serve/config.yaml` holds them under `args`."""

    topology: Topology = "fused"
    encoder: str = ENCODER_URI
    language_model: str = LANGUAGE_URI
    base_model: str = BASE_MODEL
    """Name under which clients ask for the language model itself."""
    explore: float | None = Field(default=None, ge=0, le=0.5)
    """Share of exchanges whose arm is drawn although no release was promoted."""
    poll_s: float = Field(default=5.0, gt=0)
    """Seconds between two looks at `releases/CURRENT` and at the switches."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of a persona model."""
    device: Device = "auto"
    """Where a persona model runs; `cuda` reserves a GPU for each, unless `persona_model` says how
    much of one it takes."""
    upstream: UpstreamSettings | None = None
    """Server that writes the replies in place of the built-in model; there is then no deployment
    `PersonaModel`, and `base_model` is the upstream's."""
    mode: Mode | None = None
    """Mode of requests that name none. Without it: `arm_first` once a release serves that was made
    for the model which writes, until then `observe` but for the share `explore`."""
    deadline_s: float = Field(default=60.0, gt=0)
    """Seconds from the arrival of a message to the end of its answer; what an engine has not
    written by then an approved reply stands in for."""
    lease_s: float = Field(default=30.0, gt=0)
    """Seconds after which a reply that was being said by a process that died counts as cut off."""
    grace_s: float = Field(default=20.0, gt=0)
    """Seconds that requests in flight have to finish when the graph is stopped."""
    limits: Limits = Limits()
    """Bounds on size and time of one request."""
    gateway: GatewaySettings = GatewaySettings()
    reader: ReaderSettings = ReaderSettings()
    persona_model: PersonaModelSettings = PersonaModelSettings()

    def live(self, changes: Live | None = None) -> Live:
        """Give what may change while serving, as it stands with some changes."""
        given = (changes or Live()).model_dump(exclude_none=True)
        return Live.model_validate({"explore": self.explore, "poll_s": self.poll_s, **given})

    @property
    def writer(self) -> PersonaModelSettings:
        """The persona model's settings, with a GPU where `device` asks for one."""
        actor = self.persona_model.ray_actor_options
        if self.device != "cuda" or actor.num_gpus:
            return self.persona_model
        given = actor.model_copy(update={"num_gpus": 1.0})
        return self.persona_model.model_copy(update={"ray_actor_options": given})

    def check_gateways(self) -> None:
        """Refuse more gateways than the store takes.

        Raises:
            ConfigError: Several gateways would write one SQLite file.
        """
        most = self.gateway.autoscaling_config.max_replicas
        if (
            most > 1
            and make_url(home_of(self, make=False).store_url).get_backend_name() == "sqlite"
        ):
            remedy = (
                "SQLite takes one gateway; set it to 1, or set store to a database that several "
                "write to: postgresql+psycopg://USER@HOST/NAME"
            )
            raise ConfigError("gateway.autoscaling_config.max_replicas", most, remedy)
