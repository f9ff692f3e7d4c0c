import os
import stat
from pathlib import Path

import pytest
import ray

from rapport.cluster.session import ray_session
from rapport.home import Home

SHORT = Path("/tmp")


def folders():
    return set(SHORT.glob("rapport-*"))


def test_a_local_session_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    before = folders()
    with ray_session(Home(tmp_path / "home"), cpus=1) as session:
        assert session.local
        assert session.cpus == 1
        (folder,) = folders() - before
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with ray_session(Home(tmp_path / "home")) as inner:
            assert inner == session
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert folders() == before
    assert not (tmp_path / "person" / ".ray").exists()
    assert os.environ["RAY_AUTH_TOKEN"] not in capfd.readouterr().err


@pytest.mark.slow
def test_a_failed_session_keeps_rays_log_files(tmp_path):
    home = Home(tmp_path)
    with pytest.raises(KeyError), ray_session(home, cpus=1):
        raise KeyError
    assert not ray.is_initialized()
    assert (home.logs / "ray" / "raylet.out").exists()
