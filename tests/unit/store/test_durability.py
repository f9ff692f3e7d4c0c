"""What was acknowledged is on disk, whatever kills the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rapport.lake import Lake
from rapport.store import open_store, relay

PLATFORM = Path(__file__).parents[3] / "platform"

SERVE_AND_SAY = """
import sys, threading
from rapport.store import GroupCommitter, open_store
from rapport.testing import a_decision, a_turn

group = GroupCommitter(open_store(sys.argv[1]))

def serve(thread):
    for n in range(100_000):
        name = f"{thread}-{n}"
        rows = [("decisions", a_decision(decision_id=name, episode_id=name)),
                ("turns", a_turn(conversation_id=name))]
        group.commit(rows)
        sys.stdout.write(name + "\\n")
        sys.stdout.flush()

for thread in range(4):
    threading.Thread(target=serve, args=(thread,)).start()
"""


@pytest.mark.parametrize("acknowledged", [1, 40])
def test_a_killed_server_loses_nothing_it_acknowledged(url, tmp_path, acknowledged):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE_AND_SAY, url],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PLATFORM)},
    )  # fmt: skip
    assert server.stdout is not None
    names = {server.stdout.readline().strip() for _ in range(acknowledged)}
    server.send_signal(signal.SIGKILL)
    rest = server.communicate(timeout=30)[0]
    names |= set(rest.split("\n")[:-1])  # what follows the last line end was cut off
    assert server.returncode == -signal.SIGKILL

    store = open_store(url)
    decided = {row["decision_id"] for row in store.decisions("default", limit=100_000)}
    assert names <= decided
    assert all(len(store.turns_of(name)) == 1 for name in decided)  # whole or not at all
    waiting = store.outbox.waiting()
    assert waiting == {"decisions": len(decided), "turns": len(decided)}
    lake = Lake(tmp_path / "lake")
    assert relay(store, lake) == waiting
    moved = lake.scan("decisions", purpose="serve").select("decision_id").collect()
    assert sorted(moved["decision_id"]) == sorted(decided)
    store.close()
