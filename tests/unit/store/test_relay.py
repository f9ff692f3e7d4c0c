import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rapport.lake import Lake
from rapport.schema import to_table
from rapport.store import open_store, relay
from rapport.testing import a_decision, a_turn, some_feedback

PLATFORM = Path(__file__).parents[3] / "platform"


def fill(store, numbers):
    for n in numbers:
        decision = a_decision(decision_id=f"d{n}", episode_id=f"e{n}")
        turns = [("turns", a_turn(conversation_id=f"e{n}", turn_index=i)) for i in range(2)]
        store.commit([("decisions", decision), *turns])


def in_lake(lake, table, column):
    return Counter(lake.scan(table, purpose="serve").collect()[column].to_list())


def once(numbers):
    return Counter(f"d{n}" for n in numbers)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def test_rows_arrive_once_and_unchanged(store, lake):
    fill(store, range(5))
    store.commit([("feedback", some_feedback(value=0.1 + 0.2))])
    assert relay(store, lake) == {"decisions": 5, "feedback": 1, "turns": 10}
    assert relay(store, lake) == {}
    arrived = lake.scan("decisions", purpose="serve").sort("decision_id").collect().to_arrow()
    expected = to_table("decisions", [store.decision(f"d{n}") for n in range(5)])
    assert arrived.cast(expected.schema).equals(expected)
    assert lake.scan("feedback", purpose="serve").collect()["value"].to_list() == [0.1 + 0.2]
    assert store.decision("d0") is not None


def test_batches_are_bounded_and_keep_the_order_of_commits(store, lake):
    fill(store, range(7))
    assert relay(store, lake, batch_rows=3) == {"decisions": 7, "turns": 14}
    assert lake.version("decisions") == 3  # three batches after the table's own creation
    assert in_lake(lake, "decisions", "decision_id") == once(range(7))
    fill(store, range(7, 9))
    assert relay(store, lake, batch_rows=3)["decisions"] == 2
    assert in_lake(lake, "decisions", "decision_id") == once(range(9))


def test_two_stores_share_a_lake(store, lake, tmp_path):
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    fill(store, range(2))
    fill(other, range(2, 5))
    relay(store, lake)
    relay(other, lake)
    assert in_lake(lake, "decisions", "decision_id") == once(range(5))
    other.close()


def test_a_fresh_lake_gets_what_comes_from_now_on(store, lake, tmp_path):
    fill(store, range(3))
    relay(store, lake)
    fill(store, range(3, 5))
    fresh = Lake(tmp_path / "fresh")
    assert relay(store, fresh)["decisions"] == 2
    assert in_lake(fresh, "decisions", "decision_id") == once(range(3, 5))


DIE = """
import os, signal, sys
from rapport.lake import Lake
from rapport.store import open_store, relay
from rapport.store.outbox import Outbox

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(Lake):
    def append(self, *rows, **options):
        if sys.argv[3] == "before the append":
            die()
        return super().append(*rows, **options)

if sys.argv[3] == "before the note":
    Outbox.arrived = die
relay(open_store(sys.argv[1]), Dying(sys.argv[2]), batch_rows=4)
if sys.argv[3] == "after the note":
    die()
"""


@pytest.mark.parametrize("moment", ["before the append", "before the note", "after the note"])
def test_a_relay_killed_at_any_step_loses_and_doubles_nothing(url, store, lake, moment):
    fill(store, range(6))
    command = [sys.executable, "-c", DIE, url, lake.root, moment]
    paths = [str(PLATFORM), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    died = subprocess.run(command, check=False, timeout=60, env=environment)
    assert died.returncode == -signal.SIGKILL
    fill(store, range(6, 10))  # so that the next batch is not the one that died
    relay(store, lake)
    assert in_lake(lake, "decisions", "decision_id") == once(range(10))
    assert in_lake(lake, "turns", "turn_id").total() == 20
    assert store.outbox.waiting() == {}


def relay_until_done(url, root, started):
    store, lake = open_store(url), Lake(root)
    started.set()
    while store.outbox.waiting():
        relay(store, lake, batch_rows=2)
    store.close()


def test_relays_killed_at_random_moments_or_running_side_by_side_are_exact(url, store, lake):
    context = multiprocessing.get_context("spawn")
    fill(store, range(20))
    for delay in (0.05, 0.2):
        started = context.Event()
        victim = context.Process(target=relay_until_done, args=(url, lake.root, started))
        victim.start()
        assert started.wait(60)
        victim.join(delay)
        victim.kill()
        victim.join(30)
    started = context.Event()
    pair = [
        context.Process(target=relay_until_done, args=(url, lake.root, started)) for _ in range(2)
    ]
    for process in pair:
        process.start()
    fill(store, range(20, 24))
    for process in pair:
        process.join(90)
    assert [process.exitcode for process in pair] == [0, 0]
    relay(store, lake)
    assert in_lake(lake, "decisions", "decision_id") == once(range(24))
    assert set(in_lake(lake, "turns", "turn_id").values()) == {1}
    assert in_lake(lake, "turns", "turn_id").total() == 48
