import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rapport.lake import Lake
from rapport.schema import to_table
from rapport.store import open_store, relay, tables
from rapport.testing import a_decision, a_turn, some_feedback
from tests.statistics.report import say

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


def damage(store, table, places):
    """Make rows of the outbox such that they fit the schema no more; their ids."""
    with store._database.writing() as connection:
        mine = tables.outbox.c.table_name == table
        found = connection.execute(select(tables.outbox).where(mine).order_by("seq")).all()
        for place, payload in places.items():
            change = update(tables.outbox).where(tables.outbox.c.seq == found[place].seq)
            connection.execute(change.values(payload=payload(found[place].payload)))
    return [found[place].row_id for place in places]


def without(name):
    def changed(payload):
        row = json.loads(payload)
        del row[name]
        return json.dumps(row)

    return changed


def set_to(name, value):
    return lambda payload: json.dumps(json.loads(payload) | {name: value})


POISON = {
    1: (lambda payload: payload[:40], "its payload cannot be read"),
    3: (without("propensity"), "is required and was missing"),
    4: (set_to("surprise", "my secret words"), "not a column of schema"),
    6: (set_to("ts", "yesterday"), "its payload cannot be read"),
    7: (set_to("action_index", "my secret words"), "needs int32"),
}


@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_a_row_that_does_not_fit_is_put_aside_and_stops_nobody(store, lake, batch_rows):
    fill(store, range(9))
    ids = damage(store, "decisions", {place: change for place, (change, _) in POISON.items()})
    moved = relay(store, lake, batch_rows=batch_rows)
    assert moved == {"decisions": 4, "turns": 18, "quarantine": 5}
    assert in_lake(lake, "decisions", "decision_id") == once([0, 2, 5, 8])
    refused = lake.scan("quarantine").sort("row").collect()
    assert [json.loads(row)["row_id"] for row in refused["row"]] == ids
    assert set(refused["source"]) == {"outbox"}
    for row, (_, reason) in zip(refused.iter_rows(named=True), POISON.values(), strict=True):
        assert row["reason"].startswith(reason)
        assert "secret" not in str(row)
    assert relay(store, lake) == {}
    assert store.decision("d3") is not None
    fill(store, range(9, 11))
    assert relay(store, lake) == {"decisions": 2, "turns": 4}


def test_a_batch_of_nothing_but_poison_is_passed(store, lake):
    fill(store, range(3))
    damage(store, "decisions", dict.fromkeys(range(3), lambda payload: "{"))
    assert relay(store, lake)["quarantine"] == 3
    fill(store, [3])
    assert relay(store, lake)["decisions"] == 1
    assert in_lake(lake, "decisions", "decision_id") == once([3])


DIE = """
import os, signal, sys
from rapport.lake import Lake
from rapport.store import open_store, relay
from rapport.store.database import Database
from rapport.store.outbox import Outbox
from contextlib import contextmanager

moment = sys.argv[3]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(Lake):
    def append(self, table, *rows, **options):
        refusal = table == "quarantine"
        if moment == ("before the refusal" if refusal else "before the append"):
            die()
        done = super().append(table, *rows, **options)
        if moment == "after the refusal" and refusal:
            die()
        return done

writing = Database.writing

@contextmanager
def dying_writing(self):
    with writing(self) as connection:
        yield connection
        die()

store = open_store(sys.argv[1])
if moment == "before the note":
    Outbox.arrived = die
if moment == "inside the note":
    Database.writing = dying_writing
relay(store, Dying(sys.argv[2]), batch_rows=4)
die()
"""
MOMENTS = [
    "before the refusal",
    "after the refusal",
    "before the append",
    "before the note",
    "inside the note",
    "at the end",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_relay_killed_at_any_step_loses_and_doubles_nothing(url, store, lake, moment):
    fill(store, range(7))
    damage(store, "decisions", {2: lambda payload: "{", 5: lambda payload: "{"})
    command = [sys.executable, "-c", DIE, url, lake.root, moment]
    paths = [str(PLATFORM), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    died = subprocess.run(command, check=False, timeout=60, env=environment)
    assert died.returncode == -signal.SIGKILL
    fill(store, range(7, 11))  # so that the next batch is not the one that died
    relay(store, lake)
    assert in_lake(lake, "decisions", "decision_id") == once({*range(11)} - {2, 5})
    assert in_lake(lake, "turns", "turn_id").total() == 22
    assert lake.scan("quarantine").collect()["position"].n_unique() == 2
    assert lake.scan("quarantine").collect().height == 2
    assert store.outbox.waiting() == {}


def relay_until_done(url, root, started):
    store, lake = open_store(url), Lake(root)
    started.set()
    while store.outbox.waiting():
        relay(store, lake, batch_rows=2)
    store.close()


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_relays_killed_at_many_random_moments_lose_and_double_nothing(url, store, lake, kills):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rapport.lake", "rapport.store"])
    moments, killed = random.Random(3), 0
    decisions = 5 * kills
    fill(store, range(decisions))
    for _ in range(kills):
        started = context.Event()
        victim = context.Process(target=relay_until_done, args=(url, lake.root, started))
        victim.start()
        assert started.wait(60)
        victim.join(moments.uniform(0.0, 0.25))
        killed += victim.exitcode is None
        victim.kill()
        victim.join(30)
    relay(store, lake)
    assert killed >= kills / 4  # amid their work, not after it
    assert in_lake(lake, "decisions", "decision_id") == once(range(decisions))
    ids = {turn["turn_id"] for n in range(decisions) for turn in store.turns_of(f"e{n}")}
    assert in_lake(lake, "turns", "turn_id") == Counter(ids)
    say(f"relay killed {kills} times, {killed} amid its work: {decisions} decisions, each once")


def test_relays_running_side_by_side_are_exact(url, store, lake):
    context = multiprocessing.get_context("spawn")
    fill(store, range(20))
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
