"""A Serve configuration file, read strictly: Ray passes unknown keys over, this does not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from rapport.config import Config, Layer, fitted, layers, resolve

from .settings import AppConfig, GatewaySettings, Live, PersonaModelSettings, ReaderSettings

NODES = {"Gateway": "gateway", "Reader": "reader", "PersonaModel": "persona_model"}
"""Deployments, and the section of `args` that says how each starts."""


class HttpOptions(Config):
    """Where clients are listened to."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    request_timeout_s: float = Field(default=120, gt=0)
    keep_alive_timeout_s: int = Field(default=90, ge=1)


class LoggingOptions(Config):
    """What Ray Serve itself logs."""

    encoding: Literal["TEXT", "JSON"] = "TEXT"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    enable_access_log: bool = False


class GatewayDeployment(GatewaySettings):
    """How the gateway runs now; a deploy that changes it replaces no replica."""

    name: Literal["Gateway"]
    user_config: Live = Live()


class ReaderDeployment(ReaderSettings):
    """How the reader runs now."""

    name: Literal["Reader"]


class PersonaModelDeployment(PersonaModelSettings):
    """How the persona model runs now."""

    name: Literal["PersonaModel"]


Deployment = Annotated[
    GatewayDeployment | ReaderDeployment | PersonaModelDeployment, Field(discriminator="name")
]


class Application(Config):
    """The graph: its builder, the arguments, and what differs from them while it runs."""

    name: Literal["rapport"] = "rapport"
    route_prefix: Literal["/"] = "/"
    import_path: Literal["serve.app:build", "rapport_serve.app:build"] = "serve.app:build"
    args: AppConfig = AppConfig()
    deployments: tuple[Deployment, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _over_sections(cls, values: Any) -> Any:  # noqa: ANN401
        """Let a deployment name only what differs from its section of `args`."""
        try:
            args = AppConfig.model_validate(values.get("args", {}))
            deployments = [_merged(args, given) for given in values.get("deployments", ())]
        except (ValidationError, AttributeError, TypeError):
            return values  # the fields' own check says what is wrong, and where
        return {**values, "deployments": deployments}

    @model_validator(mode="after")
    def _nodes_of_the_topology(self) -> Self:
        names = [deployment.name for deployment in self.deployments]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"deployment {name} stands there twice")
        if self.args.topology == "fused" and "Reader" in names:
            raise ValueError("topology fused has no deployment Reader; spread has")
        if self.args.upstream and "PersonaModel" in names:
            raise ValueError("with an upstream there is no deployment PersonaModel")
        return self

    def resolved(self) -> AppConfig:
        """Give the arguments with what `deployments` says in place of their sections."""
        sections: dict[str, Any] = {}
        for deployment in self.deployments:
            section = NODES[deployment.name]
            told = deployment.model_dump(exclude_unset=True, exclude={"name", "user_config"})
            sections[section] = {**getattr(self.args, section).model_dump(), **told}
        return AppConfig.model_validate({**self.args.model_dump(), **sections})

    @property
    def live(self) -> Live:
        """What the file changes of a running gateway."""
        for deployment in self.deployments:
            if isinstance(deployment, GatewayDeployment):
                return deployment.user_config
        return Live()


class ServeFile(Config):
    """The whole file."""

    proxy_location: Literal["HeadOnly", "EveryNode"] = "EveryNode"
    http_options: HttpOptions = HttpOptions()
    logging_config: LoggingOptions = LoggingOptions()
    applications: tuple[Application] = (Application(),)

    @property
    def application(self) -> Application:
        """The one application."""
        return self.applications[0]

    def with_flags(self, **flags: Any) -> "ServeFile":  # noqa: ANN401
        """Give the file with settings of the environment and of flags in place of its arguments.

        Raises:
            ConfigError: A value does not fit.
        """
        args = fitted(AppConfig, self.layers(**flags))
        application = self.application.model_copy(update={"args": args})
        return self.model_copy(update={"applications": (application,)})

    def layers(self, **flags: Any) -> list[Layer]:  # noqa: ANN401
        """Give what each source says of the arguments; this file stands above rapport.toml."""
        found = layers(AppConfig, section="serve", flags=flags)
        above = (
            i for i, layer in enumerate(found) if layer.source.startswith(("RAPPORT_", "flag"))
        )
        told = Layer("--config", self.application.args.model_dump(exclude_unset=True))
        found.insert(next(above), told)
        return found

    def deployed(self, *, import_path: str) -> dict[str, Any]:
        """Give what Ray Serve deploys: every option of every node written out.

        Ray fills what an `autoscaling_config` leaves out with its own defaults, not with ours. The
        store's URL, which holds a password, is left out: nodes find it in their environment.

        Args:
            import_path: Of `build`, as the cluster imports it.
        """
        application, config = self.application, self.application.resolved()
        deployments = []
        for name, section in NODES.items():
            if name == "Reader" and config.topology == "fused":
                continue
            if name == "PersonaModel" and config.upstream:
                continue
            options = getattr(config, section).options()
            if name == "Gateway":
                options["user_config"] = config.live(application.live).model_dump()
            deployments.append({"name": name, **options})
        return {
            "proxy_location": self.proxy_location,
            "http_options": self.http_options.model_dump(),
            "logging_config": self.logging_config.model_dump(),
            "applications": [
                {
                    "name": application.name,
                    "route_prefix": application.route_prefix,
                    "import_path": import_path,
                    "args": application.args.model_dump(mode="json", exclude={"store"}),
                    "deployments": deployments,
                }
            ],
        }


def read_serve_file(file: Path | None) -> ServeFile:
    """Read a Serve configuration file; without one, everything as it is by default.

    Raises:
        ConfigError: It cannot be read, or a key is not known or does not fit; the message names it.
    """
    return resolve(ServeFile, file=file)


def checked(loaded: Any) -> ServeFile:  # noqa: ANN401
    """Check a configuration that is loaded already, such as a manifest's `serveConfigV2`.

    Raises:
        ConfigError: As `read_serve_file`, and for more gateways than its store takes.
    """
    file = resolve(ServeFile, flags=loaded)
    file.application.resolved().check_gateways()
    return file


def _merged(args: AppConfig, given: Mapping[str, Any]) -> Mapping[str, Any]:
    section = NODES.get(given["name"]) if "name" in given else None
    if section is None:
        return given
    before = getattr(args, section).model_dump()
    nested = {name: value for name, value in given.items() if isinstance(value, dict)}
    over = {name: {**before[name], **value} for name, value in nested.items() if name in before}
    return {**given, **over}
