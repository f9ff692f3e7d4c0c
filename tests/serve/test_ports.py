import os
import socket
import subprocess
import sys

import pytest

from rapport.errors import ConfigError
from serve import launch
from serve.ports import free_ports, haproxy_environment, has_haproxy, listening, require_free

LISTENS = """
import socket, sys
probe = socket.socket()
probe.bind(("127.0.0.1", int(sys.argv[1])))
probe.listen()
print("listens", flush=True)
sys.stdin.read()
"""


def test_what_this_process_and_its_children_listen_on_is_found():
    mine, theirs = free_ports(2)
    child = subprocess.Popen(
        [sys.executable, "-c", LISTENS, str(theirs)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child, socket.socket() as probe:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()
        probe.bind(("127.0.0.1", mine))
        probe.listen()
        found = listening(http_port=theirs, environment={})
        child.stdin.close()
    ports = {(port.address, port.port): port.what for port in found}
    assert ports["127.0.0.1", theirs] == "requests"
    assert ("127.0.0.1", mine) in ports


def test_haproxys_files_lie_in_the_home_and_its_ports_are_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_SERVE_ENABLE_HA_PROXY", raising=False)
    given = haproxy_environment(tmp_path / "logs", tmp_path / "s")
    if not has_haproxy():
        assert given == {}
        return
    ports = [value for name, value in given.items() if name.endswith("_PORT")]
    assert len(set(ports)) == 4
    assert not {"8404", "9101", "8500"} & set(ports)
    assert not any("/tmp/haproxy-serve" in value for value in given.values())
    files = [value for name, value in given.items() if os.sep in value and "SOCKET" not in name]
    assert all(value.startswith(str(tmp_path / "logs")) for value in files)


def test_ha_proxy_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    assert haproxy_environment(tmp_path, tmp_path) == {}


def test_a_taken_port_is_told_with_its_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="--port 0 takes a free one"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("url", ["mysql://nobody", "postgresql+psycopg://u@127.0.0.1:1/x"])
def test_a_store_that_cannot_be_is_told_before_anything_is_started(
    tmp_path, monkeypatch, capsys, url
):
    monkeypatch.setenv("RAPPORT_STORE", url)
    monkeypatch.setattr("sys.argv", ["launch", "--home", str(tmp_path / "home"), "--port", "0"])
    assert launch.main() != 0
    assert "store" in capsys.readouterr().err
