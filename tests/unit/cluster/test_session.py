import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
import ray

from rapport.cluster import session as session_module
from rapport.cluster.session import ray_session
from rapport.errors import ConfigError
from rapport.home import Home


@pytest.fixture
def short(monkeypatch):
    """A folder of this test alone, with a path short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
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


@pytest.mark.slow
def test_a_failed_session_keeps_rays_log_files(tmp_path, short, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    home = Home(tmp_path)
    with pytest.raises(KeyError), ray_session(home, cpus=1):
        raise KeyError
    assert not ray.is_initialized()
    assert (home.logs / "ray" / "raylet.out").exists()
    assert list(short.iterdir()) == []
