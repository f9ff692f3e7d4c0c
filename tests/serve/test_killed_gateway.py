"""Whatever kills the whole server: what was acknowledged is in the lake once, nothing refused is.

`one process` kills gateway and persona model together, in seconds each: it proves the order of
commit and answer, the closing of what was being said, and the relay. `rapport serve` kills the real
graph, Ray and all: it proves that nothing between client and gateway answers before the gateway
did. With PostgreSQL every fourth kill takes the database down as well, without its leave.
"""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from rapport.governance.access import fresh_key, key_hash
from rapport.lake import Lake
from rapport.store import open_store, relay
from rapport.testing import tiny_language_model
from tests.postgres import MISSING, Server, programs
from tests.serve import killable
from tests.serve.killable import Told, clients, wait_until
from tests.statistics.report import say

LEASE_S = 1.0


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """A store's URL, and what crashes its database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'store.db'}", None
        return
    if programs() is None:
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="rapport-pg-"))
    server = Server(folder, durable=True)
    server.start()
    yield server.database(), server
    server.stop()
    shutil.rmtree(folder)


def one_process(home, url, language_model):
    config = {
        "home": str(home),
        "store": url,
        "language_model": language_model,
        "lease_s": LEASE_S,
        "explore": 0.5,
    }
    return [sys.executable, "-m", "tests.serve.killable", json.dumps(config)], {}


def the_graph(home, url, language_model):
    command = [sys.executable, "-m", "serve.launch", "--home", str(home), "--port", "0", "--json"]
    env = {
        "RAPPORT_STORE": url,
        "RAPPORT_LANGUAGE_MODEL": language_model,
        "RAPPORT_LEASE_S": str(LEASE_S),
        "RAPPORT_EXPLORE": "0.5",
    }
    return command, env


def crash(database):
    if database is not None:
        database.stop(signal.SIGQUIT)
        database.start()


def settled(url, lake):
    """After a restart: what was being said is closed, and all of it relayed."""
    store = open_store(url)
    try:
        wait_until(lambda: store.unfinished() == 0)
        relay(store, lake)
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [(one_process, 20), (the_graph, 20)])
def test_a_killed_server_lost_and_doubled_nothing_it_acknowledged(tmp_path, place, kind, kills):
    (url, database), home = place, tmp_path / "home"
    home.mkdir()
    model = f"file:{tiny_language_model(tmp_path / 'model')}"
    key, store, lake = fresh_key(), open_store(url), Lake(home / "lake")
    store.keys.add(key_hash(key), tenant="default", scopes={"serve"}, label="test")
    store.close()
    command, env = kind(home, url, model)
    told, chance, died, started = Told(), random.Random(kills), 0, time.monotonic()
    for kill in range(kills + 1):
        server = killable.Server(command, env, tmp_path / "log")
        try:
            settled(url, lake)
            if kill < kills:
                with clients(server.url, key, told) as answered:
                    assert answered.wait(60), (tmp_path / "log").read_text()[-2000:]
                    time.sleep(chance.uniform(0.2, 1.5))
                    died += server.kill()
        finally:
            server.kill()
        if kill % 4 == 3:
            crash(database)
    decided, fed = ids(lake, "decisions", "decision_id"), ids(lake, "feedback", "feedback_id")
    doubled = [name for name, count in (decided + fed).items() if count > 1]
    lost = (told.decisions - set(decided)) | (told.feedback - set(fed))
    say(
        f"{url.partition(':')[0]}, {kind.__name__}: {kills} kills of {died} processes in "
        f"{time.monotonic() - started:.0f} s; acknowledged {len(told.decisions)} decisions and "
        f"{len(told.feedback)} feedback, {len(lost)} lost, {len(doubled)} doubled; "
        f"{len(told.refused)} refused, {len(told.refused & set(fed))} of them in the lake; "
        f"{len(set(decided) - told.decisions)} decisions committed whose answer did not arrive"
    )
    assert len(told.decisions) >= 2 * kills
    assert told.refused
    assert not lost
    assert not doubled
    assert not told.refused & set(fed)


def ids(lake, table, column):
    return Counter(lake.scan(table, purpose="serve").collect()[column].to_list())
