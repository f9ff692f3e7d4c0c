"""A graph that runs: deployed from its file, told where it listens, drained when it must stop."""

import contextlib
import json
import logging
import queue
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from rapport.cluster.session import RaySession, ray_session
from rapport.errors import RapportError
from rapport.governance.access import APPLICATION, fresh_key, key_hash
from rapport.governance.tenants import EMBEDDED_TENANT
from rapport.home import Home
from rapport.store import open_store

from .ports import Listening, free_ports, listening
from .serve_file import ServeFile
from .settings import AppConfig

START_S = 300.0
"""Seconds until every node must answer; models may have to be fetched."""
LOOK_S = 0.1


class DeployFailedError(RapportError):
    """Ray could not start the graph; what served before serves on."""

    code = "deploy_failed"

    def __init__(self, status: str, message: str) -> None:
        super().__init__(status, message)
        self.status, self.message = status, message

    def __str__(self) -> str:
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        return f"the graph is {self.status}: {lines[-1] if lines else 'no reason was given'}"


class _StoppedEarlyError(Exception):
    """A signal asks for the end while the graph is being deployed."""


class Running:
    """One graph, from its start to its end. Holds a Ray session while it runs."""

    def __init__(
        self, file: ServeFile, home: Home, *, environment: Mapping[str, str], as_json: bool
    ) -> None:
        self._home, self._environment, self._as_json = home, environment, as_json
        port = file.http_options.port or free_ports(1)[0]
        self._file, self._port = file, port
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def until_stopped(self, again: Callable[[], ServeFile]) -> None:
        """Serve until SIGINT or SIGTERM; SIGHUP deploys the file as it then is.

        Args:
            again: Reads the file anew.

        Raises:
            DeployFailedError: The graph did not start.
        """
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        with ray_session(self._home) as session:
            # After Ray's start: it puts its own handler in place.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda got, _frame: self._signals.put(got))
            try:
                self._start(session)
                self._tell()
                while self._signals.get() == signal.SIGHUP:
                    self._again(session, again)
                self._drain()
            except _StoppedEarlyError:
                sys.stderr.write("serve: stopped before the graph answered\n")
            finally:
                serve.shutdown()  # type: ignore[no-untyped-call]

    def _start(self, session: RaySession) -> None:
        options = {**self._file.http_options.model_dump(), "port": self._port}
        serve.start(
            proxy_location=self._file.proxy_location,
            http_options=options,
            logging_config=self._file.logging_config.model_dump(),
        )
        self._deploy(session)

    def _deploy(self, session: RaySession) -> None:
        """Deploy the file: only what it changes is changed, in place where Ray can."""
        application = self._file.application
        if application.args.upstream is None:
            session.require_gpus(application.resolved().device, count=1)
        here = f"{__package__}.app:build"
        deployed = self._file.deployed(
            import_path=here if session.local else application.import_path
        )
        deployed["http_options"]["port"] = self._port
        client: Any = _get_global_client()
        client.deploy_apps(ServeDeploySchema.model_validate(deployed))
        self._wait()

    def _wait(self) -> None:
        ends = time.monotonic() + START_S
        while True:
            found = serve.status().applications.get("rapport")
            status = found.status if found else ApplicationStatus.NOT_STARTED
            if status == ApplicationStatus.RUNNING:
                return
            failed = status in (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY)
            if self._stopping():
                raise _StoppedEarlyError
            if failed or time.monotonic() > ends:
                raise DeployFailedError(status.value, found.message if found else "")
            time.sleep(LOOK_S)

    def _stopping(self) -> bool:
        """Whether a signal came before the graph stood; it is then kept for later."""
        try:
            number = self._signals.get_nowait()
        except queue.Empty:
            return False
        self._signals.put(number)
        return number != signal.SIGHUP

    def _again(self, session: RaySession, again: Callable[[], ServeFile]) -> None:
        before = self._file
        try:
            self._file = again()
            with contextlib.suppress(_StoppedEarlyError):  # the signal is kept: drained next
                self._deploy(session)
        except RapportError as error:
            self._file = before
            sys.stderr.write(f"serve: not deployed, the graph serves on: {error}\n")

    def _drain(self) -> None:
        """Let every gateway finish what runs; what is late is cut off at the end of its grace."""
        handle = serve.get_app_handle("rapport")
        grace_s = self._file.application.args.grace_s
        try:
            late = sum(handle.broadcast("drain").results(timeout_s=grace_s + 5))
        except TimeoutError:
            late = -1
        if late:
            sys.stderr.write(f"serve: requests did not end within {grace_s:g} s and are cut off\n")

    def _tell(self) -> None:
        host = self._file.http_options.host
        url = f"http://{host}:{self._port}"
        ports = listening(http_port=self._port, environment=self._environment)
        key = self._fresh_key()
        if self._as_json:
            told = {"url": url, "key": key, "listens": [port.row() for port in ports]}
            print(json.dumps(told), flush=True)  # noqa: T201
            return
        # Browsers keep what stands behind # to themselves: the key is in no request and no log.
        page = f"a page to talk to it: {url}/#key={key}"
        for line in (f"serving on {url}/v1  key {key}", page, *_lines(ports, self._file)):
            print(line, flush=True)  # noqa: T201

    def _fresh_key(self) -> str:
        """Make a key for the embedded tenant; only its hash is kept."""
        key, store = fresh_key(), open_store(self._home.store_url)
        store.keys.add(
            key_hash(key), tenant=EMBEDDED_TENANT, scopes=APPLICATION, label="printed at start"
        )
        store.close()
        return key


def _lines(ports: Sequence[Listening], file: ServeFile) -> list[str]:
    return [
        "listens on " + ", ".join(map(str, ports)),
        *_attached(file.application.args),
        "users are treated as adults who agreed to: serve, memory, analytics, train, experiment, "
        "infer_affect; write tenants.yaml into the home to change that. Ctrl-C stops.",
    ]


def _attached(args: AppConfig) -> list[str]:
    """What is to be known of an upstream: who reads what people write, and who draws replies."""
    if args.upstream is None:
        return []
    mode = args.mode or "observe until a release made for that model serves"
    return [f"replies are written by {args.upstream.model} at {args.upstream.url}; mode {mode}"]
