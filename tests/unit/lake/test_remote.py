"""The lake in an object store: the same rules, kept by conditional puts alone."""

import io
import json
import multiprocessing
import os

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from rapport.cli import app
from rapport.config import LakeConfig
from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.pipeline.compaction import compact_lake
from rapport.pipeline.erasure import erase_users
from rapport.pipeline.settings import CompactConfig
from rapport.schema import SCHEMAS
from rapport.store import open_store, relay
from rapport.testing import a_decision, a_turn, some_feedback
from tests.statistics.report import say
from tests.unit.object_store import BUCKET, MISSING, environment, objects, put, serving, weed

pytestmark = pytest.mark.skipif(weed() is None, reason=MISSING)

GONE, KEPT = "a" * 16 + "0123456789abcdef", "b" * 16 + "fedcba9876543210"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("weed")) as url:
        yield url


@pytest.fixture
def lake(endpoint, monkeypatch, request):
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    return Lake(f"s3://{BUCKET}/{abs(hash(request.node.name))}")


def prefix(lake):
    return lake.root.removeprefix(f"s3://{BUCKET}/")


def data_files(lake, table="turns"):
    found = objects(f"{prefix(lake)}/{table}/")
    return {name for name in found if name.endswith(".parquet") and "_delta_log" not in name}


def words_in(lake, words):
    """Those of the words that are in some object, as it lies or decoded."""
    parts = []
    for name, content in objects(prefix(lake)).items():
        parts.append(content)
        if name.endswith(".parquet"):
            parts.append(str(pq.read_table(io.BytesIO(content)).to_pylist()).encode())
    return {word for word in words if any(word.encode() in part for part in parts)}


def places(lake, version=None):
    found = lake.scan("turns", purpose="train", version=version).collect()["turn_index"]
    return sorted(found)


def test_rows_are_appended_exactly_once_scanned_and_asked_for(lake, tmp_path):
    for n in range(3):
        assert lake.append("turns", [a_turn(turn_index=n)], writer="w", version=n)
        assert not lake.append("turns", [a_turn(turn_index=n)], writer="w", version=n)
    assert lake.written("turns", writer="w") == 2
    assert places(lake) == [0, 1, 2]
    assert places(lake, version=2) == [0, 1]
    lake.append("decisions", [a_decision()], writer="w")
    asked = lake.sql("select count(*) as n, any_value(arm) as arm from decision_outcomes")
    assert asked.to_pylist() == [{"n": 1, "arm": "question"}]
    assert lake.sql("select turns from conversations").to_pylist() == [{"turns": 3}]
    counts = {name: lake.sql(f"select count(*) as n from {name}").to_pylist() for name in SCHEMAS}
    assert counts["turns"] == [{"n": 3}]
    arguments = ["sql", "select count(*) as n from turns", "--lake", lake.root, "--json"]
    result = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path)])
    assert json.loads(result.stdout) == [{"n": 3}]


def append_many(root, name, barrier, answers):
    lake = Lake(root)
    barrier.wait(60)
    own = [
        lake.append("turns", [a_turn(conversation_id=name, turn_index=n)], writer=name, version=n)
        for n in range(8)
    ]
    shared = lake.append("feedback", [some_feedback()], writer="shared", version=1)
    answers.put((sum(own), shared))


def test_processes_that_append_at_once_all_succeed_and_a_shared_version_counts_once(lake):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    writers = [
        context.Process(target=append_many, args=(lake.root, f"w{n}", barrier, answers))
        for n in range(3)
    ]
    for writer in writers:
        writer.start()
    found = [answers.get(timeout=90) for _ in writers]
    for writer in writers:
        writer.join(30)
    assert [own for own, _ in found] == [8, 8, 8]
    assert sum(shared for _, shared in found) == 1
    assert places(lake) == sorted([*range(8)] * 3)
    assert lake.scan("feedback", purpose="serve").collect().height == 1


def test_compaction_keeps_named_versions_and_what_may_be_on_its_way(lake, tmp_path):
    for n in range(4):
        lake.append("turns", [a_turn(turn_index=n)], writer="w", version=n)
    named = lake.version("turns")
    note = {"release_id": "r", "part": "log", "table": "turns", "table_version": named}
    lake.append("lineage", [note], writer="w")
    for n in range(4, 8):
        lake.append("turns", [a_turn(turn_index=n)], writer="w", version=n)
    orphan = f"{prefix(lake)}/turns/part-00000-not-committed-yet-c000.snappy.parquet"
    put(orphan, b"PAR1")
    config = CompactConfig(home=tmp_path, least_files=2, lake=LakeConfig(uri=lake.root))
    told = compact_lake(config)
    assert told["kept"] == {"turns": 1}
    assert told["removed"] == 0  # left behind less than an hour ago
    assert places(lake) == list(range(8))
    assert places(lake, named) == list(range(4))
    assert orphan in data_files(lake)
    assert len(data_files(lake)) == 8 + 1 + 1
    assert lake.size("turns").files == len(objects(f"{prefix(lake)}/turns/"))


def append_while(root, writer, count, started):
    lake = Lake(root)
    for n in range(count):
        row = a_turn(user_id=KEPT, conversation_id=writer, turn_index=n)
        lake.append("turns", [row], writer=writer, version=n)
        started.set()


@pytest.mark.parametrize("count", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_erasure_leaves_no_byte_and_takes_no_file_of_appends_beside_it(lake, count):
    gone = [
        a_turn(user_id=GONE, text="zanzibar quokka", conversation_id="gone", turn_index=n)
        for n in range(40)
    ]
    lake.append("turns", gone, writer="w")
    lake.append("turns", [a_turn(user_id=KEPT, conversation_id="k")], writer="w")
    lake.compact("turns")
    secrets = {GONE, "zanzibar", "quokka"}
    assert words_in(lake, secrets) == secrets
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    writers = [
        context.Process(target=append_while, args=(lake.root, f"w{n}", count, started))
        for n in range(2)
    ]
    for writer in writers:
        writer.start()
    assert started.wait(60)
    assert lake.erase([GONE], ["turns"]) == {"turns": 40}
    erasures = 1
    while any(writer.is_alive() for writer in writers):
        lake.erase([GONE], ["turns"])
        erasures += 1
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert words_in(lake, secrets) == set()
    assert places(lake) == sorted([0, *range(count), *range(count)])
    say(f"object store: {erasures} erasures beside {2 * count} appends, none lost, none twice")


def test_the_relay_and_the_erasure_of_a_home_reach_a_lake_elsewhere(lake, tmp_path):
    home = Home(tmp_path)
    key = user_key(home.secret(), "default", "alice")
    store = open_store(home.store_url)
    rows = [("turns", a_turn(user_id=u, conversation_id=u, text=f"said {u}")) for u in (key, KEPT)]
    store.commit(rows)
    assert relay(store, lake) == {"turns": 2}
    store.close()
    assert erase_users(home, lake, ["alice"], tenant="default")["lake"] == {"turns": 1}
    assert words_in(lake, {key, KEPT}) == {KEPT}
    assert not (tmp_path / "lake").exists()
    assert os.environ["AWS_REGION"]
