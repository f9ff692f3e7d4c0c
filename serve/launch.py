"""Start the graph: `python -m serve.launch --home .rapport --port 8000`."""

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rapport.config import fitted, ray_address
from rapport.errors import RapportError, StoppedError
from rapport.home import home_of
from rapport.language.settings import UpstreamSettings
from rapport.provenance import settings_of
from rapport.runner import of_machine, tell
from rapport.scratch import clear_stale, scratch_folder
from rapport.store import open_store

from .attaching import check_upstream
from .ports import haproxy_environment, require_free
from .serve_file import ServeFile, checked, read_serve_file
from .settings import AppConfig

_SHORT = Path("/tmp")  # noqa: S108  paths of Unix sockets end at 107 bytes, and TMPDIR may be deep
_PREFIX = "rp-"


def main() -> int:
    """Serve until SIGINT or SIGTERM; prints address and key once requests are answered."""
    arguments = _parser().parse_args()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # held back by `rapport serve`
        if arguments.settings:
            _show_settings(arguments)
            return 0
        file = _file(arguments)
        args = file.application.args
        if args.upstream:
            check_upstream(args.upstream)
        home = home_of(args)
        with ExitStack() as stack:
            stack.enter_context(home.lock("serve"))
            # What would end the graph after half a minute of Ray's start is told at once.
            require_free(file.http_options.host, file.http_options.port)
            open_store(home.store_url).close()
            environment: dict[str, str] = {}
            if ray_address() is None:
                environment = haproxy_environment(home.logs / "haproxy", _sockets(stack))
            os.environ.update(environment)
            if args.store:
                os.environ["RAPPORT_STORE"] = args.store.get_secret_value()
            # Ray reads its environment when it is imported, so only now.
            from .running import Running  # noqa: PLC0415

            running = Running(file, home, environment=environment, as_json=arguments.json)
            running.until_stopped(lambda: _file(arguments))
    except RapportError as error:
        return tell(error, who="serve", as_json=arguments.json)
    except (OSError, MemoryError) as error:
        lacking = of_machine(error)
        if lacking is None:
            raise
        return tell(lacking, who="serve", as_json=arguments.json)
    except KeyboardInterrupt:  # before the graph takes signals itself
        return tell(StoppedError(signal.SIGINT), who="serve", as_json=arguments.json)
    return 0


def _file(arguments: argparse.Namespace) -> ServeFile:
    """Read the configuration file; environment and flags win over its arguments."""
    read = read_serve_file(arguments.config)
    upstream = _upstream(arguments, read.application.args.upstream)
    file = read.with_flags(
        home=arguments.home, explore=arguments.explore, mode=arguments.mode, upstream=upstream
    )
    file = file.with_flags(home=file.application.args.home.absolute())
    if arguments.port is not None:
        http = file.http_options.model_copy(update={"port": arguments.port})
        file = file.model_copy(update={"http_options": http})
    return checked(file.model_dump(exclude_unset=True))


def _show_settings(arguments: argparse.Namespace) -> None:
    """Print every setting of the graph as JSON: name, value, and where it comes from."""
    stated = read_serve_file(arguments.config).layers(home=arguments.home)
    print(json.dumps(list(settings_of(fitted(AppConfig, stated), stated))))  # noqa: T201


def _upstream(
    arguments: argparse.Namespace, stated: UpstreamSettings | None
) -> dict[str, Any] | None:
    """What the file says of an upstream, with flags in place of its settings."""
    told = {"url": arguments.upstream, "model": arguments.model, "key_env": arguments.key_env}
    given = {name: value for name, value in told.items() if value is not None}
    if not given:
        return None
    return {**(stated.model_dump(exclude_unset=True) if stated else {}), **given}


def _sockets(stack: ExitStack) -> Path:
    parent = _SHORT if _SHORT.is_dir() else Path(tempfile.gettempdir())
    clear_stale(parent, _PREFIX)
    return stack.enter_context(scratch_folder(parent, _PREFIX))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve.launch")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--port", type=int, help="default 8000; 0 takes a free one")
    parser.add_argument("--config", type=Path, help="such as serve/config.yaml")
    parser.add_argument("--explore", type=float)
    parser.add_argument("--mode", help="mode of requests that name none")
    parser.add_argument("--upstream", help="URL of an OpenAI-compatible server, up to /v1")
    parser.add_argument("--model", help="model of the upstream")
    parser.add_argument("--key-env", help="environment variable with the upstream's key")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--settings", action="store_true", help="print the settings, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
