import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray

from rapport.cluster import session as session_module
from rapport.cluster.session import RaySession, ray_session
from rapport.errors import ConfigError
from rapport.home import Home
from rapport.scratch import clear_stale


@pytest.fixture
def short(monkeypatch):
    """A folder of this test alone, with a path short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    monkeypatch.setattr(session_module, "_SHORT", folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_local_session_leaves_nothing_behind(tmp_path, short, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with ray_session(Home(tmp_path / "home"), cpus=1) as session:
        assert session.local
        assert session.cpus == 1
        (folder,) = short.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with ray_session(Home(tmp_path / "home")) as inner:
            assert inner == session
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert list(short.iterdir()) == []
    assert not (tmp_path / "person" / ".ray").exists()
    assert os.environ["RAY_AUTH_TOKEN"] not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("127.0.0.1:1", "no cluster answers there"),
        ("nobody", "no cluster answers there"),
        ("ray://127.0.0.1:10001", "ray job submit"),
        ("http://127.0.0.1:8265", "ray job submit"),
    ],
)
def test_an_address_that_cannot_be_joined_is_told_at_once(tmp_path, monkeypatch, address, remedy):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=remedy) as told, ray_session(Home(tmp_path)):
        pass
    assert told.value.value == address
    assert not ray.is_initialized()


def test_what_would_wait_for_a_gpu_for_ever_is_refused_and_an_autoscaler_is_trusted():
    here = RaySession("here", cpus=2, node_cpus=2, gpus=1, local=True)
    here.require_gpus("cuda", count=1)
    here.require_gpus("auto", count=2)
    with pytest.raises(ConfigError, match="needs 2 GPU and Ray sees 1"):
        here.require_gpus("cuda", count=2)
    RaySession("there", cpus=2, node_cpus=2, gpus=0, local=False).require_gpus("cuda", count=2)


HOLDS = """
import sys, time
from pathlib import Path
from rapport.cluster import session
from rapport.home import Home
import ray
session._SHORT = Path(sys.argv[1])
with session.ray_session(Home(Path(sys.argv[2])), cpus=1):
    ray.get(ray.remote(lambda: 1).remote())
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_process_takes_its_session_along_and_the_next_clears_its_folder(tmp_path, short):
    mark = short.name
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(short), str(tmp_path)],
        stdout=subprocess.PIPE, text=True, env=environment | {"RAPPORT_TEST_SESSION": mark},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert len(living(mark)) > 5
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while living(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert living(mark) == []
    assert len(list(short.iterdir())) == 1
    assert len(clear_stale(short, "rapport-")) == 1


def living(mark):
    """Processes of a marked session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            marked = process.environ().get("RAPPORT_TEST_SESSION") == mark
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:80])
    return found


@pytest.mark.slow
def test_a_failed_session_keeps_rays_log_files(tmp_path, short, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    home = Home(tmp_path)
    with pytest.raises(KeyError), ray_session(home, cpus=1):
        raise KeyError
    assert not ray.is_initialized()
    assert (home.logs / "ray" / "raylet.out").exists()
    assert list(short.iterdir()) == []
