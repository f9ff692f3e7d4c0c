import json
import socket

import pytest
from typer.testing import CliRunner

from rapport.cli import checkups
from rapport.cli.app import app
from rapport.home import Home


def examined(home, *words):
    ran = CliRunner().invoke(app, ["doctor", "--home", str(home), "--json", *words])
    told = json.loads(ran.stdout)
    return ran.exit_code, {found["check"]: found for found in told["findings"]}


def test_a_home_that_is_not_there_is_no_fault(tmp_path):
    code, found = examined(tmp_path / "none")
    assert found["home"]["status"] == "ok"
    assert not (tmp_path / "none").exists()
    faults = [name for name, each in found.items() if each["status"] == "fault"]
    assert code == (1 if faults else 0)


def test_a_taken_port_is_named_with_its_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _, found = examined(tmp_path / "none", "--port", str(port))
    assert found["port"]["status"] == "note"
    assert "--port 0" in found["port"]["remedy"]


def test_a_secret_that_others_can_read_is_a_fault(tmp_path):
    home = Home(tmp_path / "home")
    home.secret()
    (home.root / "secret.key").chmod(0o644)
    code, found = examined(home.root)
    assert (code, found["secret"]["status"]) == (1, "fault")
    assert found["secret"]["remedy"].startswith("chmod 600")


def test_a_broken_current_is_a_fault_with_a_remedy(tmp_path):
    home = Home(tmp_path / "home")
    home.releases.mkdir()
    (home.releases / "CURRENT").write_text("0123456789abcdef\n")
    code, found = examined(home.root)
    assert (code, found["release"]["status"]) == (1, "fault")
    assert found["release"]["remedy"]


@pytest.mark.parametrize(
    ("have", "status"), [(9 * checkups.GIB, "ok"), (5 * checkups.GIB, "note"), (1, "fault")]
)
def test_too_little_room_is_said_by_degree(have, status):
    found = checkups._at_least("memory", have, checkups.MEMORY, "do something")
    assert (found.status, bool(found.remedy)) == (status, status != "ok")


def test_models_that_cannot_be_fetched_are_a_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAPPORT_OFFLINE", "1")
    code, found = examined(tmp_path / "none")
    assert (code, found["model"]["status"]) == (1, "fault")
    assert "rapport models pull" in found["model"]["remedy"]
