"""Start the graph on this machine: `python -m serve.launch --home .rapport --port 8000`."""

import argparse
import json
import logging
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from ray import serve

from rapport.cluster.session import ray_session
from rapport.config import resolve
from rapport.errors import RapportError
from rapport.governance.access import fresh_key, key_hash
from rapport.governance.tenants import EMBEDDED_TENANT
from rapport.home import Home, home_of
from rapport.store import open_store

from .app import AppConfig, build

HOST = "127.0.0.1"


def main() -> int:
    """Serve until SIGINT or SIGTERM; prints address and key once requests are answered."""
    arguments = _parser().parse_args()
    stop = threading.Event()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        flags = {"home": arguments.home, "explore": arguments.explore}
        config = resolve(AppConfig, file=arguments.config, flags=flags)
        home = home_of(config)
        config = config.model_copy(update={"home": home.root})
        with home.lock("serve"), ray_session(home):
            # After Ray's start: it puts its own handler in place.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            port = arguments.port or _free_port()
            serve.start(http_options={"host": HOST, "port": port, "request_timeout_s": 120})
            serve.run(build(config), name="rapport", route_prefix="/")
            _tell({"url": f"http://{HOST}:{port}", "key": _fresh_key(home)}, arguments.json)
            stop.wait()
            serve.shutdown()  # type: ignore[no-untyped-call]
    except RapportError as error:
        sys.stderr.write(f"serve: {error}\n")
        return error.exit_code
    return 0


def _fresh_key(home: Home) -> str:
    """Make a key for the embedded tenant; only its hash is kept."""
    key = fresh_key()
    store = open_store(home.store_url)
    store.keys.add(
        key_hash(key), tenant=EMBEDDED_TENANT, scopes={"serve"}, label="printed at start"
    )
    store.close()
    return key


def _tell(ready: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(ready), flush=True)  # noqa: T201
        return
    print(f"serving on {ready['url']}/v1  key {ready['key']}", flush=True)  # noqa: T201
    print(  # noqa: T201
        "users are treated as adults who agreed to: serve, memory, analytics, train, experiment, "
        "infer_affect; write tenants.yaml into the home to change that. Ctrl-C stops.",
        flush=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve.launch")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--explore", type=float)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
