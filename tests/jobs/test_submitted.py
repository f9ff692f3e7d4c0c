"""Every job by `ray job submit` to a head with token auth, from the checkout alone."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.statistics.report import say

ROOT = Path(__file__).parents[2]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("[a-z]*.py"))
PORTS = (
    "port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
    "ray-client-server-port", "runtime-env-agent-port", "metrics-export-port",
)  # fmt: skip
MARK = "RAPPORT_TEST_HEAD"
STARTS_S = 120


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@pytest.fixture(scope="module")
def head():
    """A head on loopback in a folder and on ports of its own; yields its address and the token."""
    folder = Path(tempfile.mkdtemp(prefix="rj-", dir="/tmp"))
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAPPORT_CACHE": os.environ.get("RAPPORT_CACHE", str(Path.home() / ".cache/rapport")),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        MARK: folder.name,
    }
    command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    command += ["--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0"]
    command += ["--num-cpus=3", f"--object-store-memory={200 * 2**20}"]
    command += [f"--temp-dir={folder / 's'}"]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{ports['dashboard-port']}"
        wait_for(address, process, folder / "head.log", token=environment["RAY_AUTH_TOKEN"])
        yield address, environment
    finally:
        stop(process, folder.name)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address, process, log, *, token):
    deadline = time.monotonic() + STARTS_S
    while not answers(address, token):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


def answers(address, token):
    request = urllib.request.Request(f"{address}/api/jobs/")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop(process, mark):
    """End the head and what it started, each by its own process id."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for each in psutil.process_iter():
        try:
            if each.environ().get(MARK) == mark:
                each.kill()
        except psutil.Error:
            continue


def submit(head, *words):
    address, environment = head
    command = [str(Path(sys.executable).parent / "ray"), "job", "submit", "--address", address]
    command += ["--runtime-env", "jobs/runtime_env.yaml", "--", "python", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=500
    )


@pytest.mark.slow
def test_the_head_answers_nobody_without_its_token(head):
    address, environment = head
    assert answers(address, environment["RAY_AUTH_TOKEN"])
    assert not answers(address, None)


@pytest.mark.slow
def test_the_checkout_travels(head):
    done = submit(head, "-c", "import rapport; print(rapport.__file__)")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "working_dir_files" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_a_submitted_job_succeeds(head, name):
    started = time.monotonic()
    config = f"jobs/configs/{name}.smoke.yaml"
    done = submit(head, "-m", f"jobs.{name}", "--config", config, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    say(f"ray job submit {name}: succeeded in {time.monotonic() - started:.0f} s")
