"""`compact_lake`: few files, no orphan, every version a release names, no text past its time."""

import datetime as dt
import json
import multiprocessing
import random
import shutil
import time
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from rapport.cli import app as cli
from rapport.cli.stages import run_stage
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline import versions as versions_module
from rapport.pipeline.compaction import compact_lake
from rapport.pipeline.settings import CompactConfig
from rapport.pipeline.versions import not_retrainable
from rapport.release import Origin, publish
from rapport.store import open_store
from rapport.testing import a_decision, a_turn, some_feedback
from tests.statistics.report import say

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def lake(home):
    return Lake(home.lake)


def compact(home, **settings):
    return compact_lake(CompactConfig(home=home.root, **{"least_files": 2} | settings))


def append(lake, numbers):
    for n in numbers:
        lake.append("turns", [a_turn(turn_index=2 * n)], writer="w", version=n)


def places(lake, version=None):
    found = lake.scan("turns", purpose="train", version=version).collect()["turn_index"]
    return sorted(n // 2 for n in found)


def orphans(home, table="turns", *, keep=()):
    """Files of a table that no kept version names."""
    folder = home.lake / table
    named = {"_delta_log"}
    for version in (None, *keep):
        uris = DeltaTable(str(folder), version=version).file_uris()
        named |= {uri.rpartition("/")[2] for uri in uris}
    return {path.name for path in folder.iterdir()} - named


def publish_release(home, versions):
    folder = home.releases / ".candidates" / "new"
    (folder / "policy").mkdir(parents=True)
    (folder / "policy" / "weights").write_bytes(b"w")
    origin = Origin(code_version="1", lineage={}, salt=b"s", table_versions=versions)
    return publish(folder, home.releases, origin=origin)


def test_small_files_merge_and_everything_nobody_names_goes(home, lake):
    append(lake, range(12))
    told = compact(home)
    assert told["before"]["files"] == 12 + 13  # with the log
    assert told["removed"] == 12
    assert told["after"]["bytes"] < told["before"]["bytes"]
    assert len(list((home.lake / "turns").glob("*.parquet"))) == 1
    assert orphans(home) == set()
    assert places(lake) == list(range(12))
    version = lake.version("turns")
    assert compact(home)["removed"] == 0
    assert lake.version("turns") == version


def test_versions_that_releases_and_candidates_name_stay(home, lake):
    append(lake, range(4))
    named = lake.version("turns")
    publish_release(home, {"turns": named, "decisions": -1})
    append(lake, range(4, 7))
    candidate = lake.version("turns")
    (home.releases / ".candidates" / "c").mkdir(parents=True)
    (home.work / "origins").mkdir()
    stated = {"users": [], "seed": 0, "table_versions": {"turns": candidate}}
    (home.work / "origins" / "c.json").write_text(json.dumps(stated))
    append(lake, range(7, 9))
    elsewhere = lake.version("turns")
    note = {"release_id": "of-another-home", "part": "log", "table": "turns"}
    lake.append("lineage", [note | {"table_version": elsewhere}], writer="w")
    append(lake, range(9, 12))
    told = compact(home)
    kept = (named, candidate, elsewhere)
    assert told["kept"] == {"turns": 3}
    assert [places(lake, version) for version in kept] == [[*range(n)] for n in (4, 7, 9)]
    assert orphans(home, keep=kept) == set()
    assert not lake.is_readable("turns", elsewhere + 1)
    shutil.rmtree(home.releases / ".candidates" / "c")
    assert compact(home)["kept"] == {"turns": 2}
    assert [places(lake, version) for version in (named, elsewhere)] == [[*range(4)], [*range(9)]]


def test_what_killed_writers_left_goes(home, lake):
    append(lake, range(3))
    folder = home.lake / "turns"
    orphan = next(folder.glob("*.parquet"))
    shutil.copy(orphan, folder / "part-00000-orphan-c000.snappy.parquet")
    shutil.copy(orphan, folder / f"{orphan.name}#1")  # staged by the object store's writer
    log = folder / "_delta_log"
    (log / "_commit_0123.json.tmp").write_text("{}")
    (log / "00000000000000000009.json#1").write_text("{}")
    assert compact(home)["removed"] >= 4
    assert orphans(home) == set()
    assert all("#" not in path.name and "tmp" not in path.name for path in log.iterdir())
    assert places(lake) == [0, 1, 2]


def test_versions_just_left_behind_can_be_granted_to_their_readers(home, lake):
    append(lake, range(3))
    version = lake.version("turns")
    assert compact(home, grace_hours=1)["removed"] == 0
    assert places(lake, version) == [0, 1, 2]
    assert compact(home)["removed"] == 3


def test_a_merge_waits_until_it_is_worth_the_copy(home, lake):
    append(lake, range(7))
    assert compact(home, least_files=8)["removed"] == 0
    append(lake, [7])
    assert compact(home, least_files=8)["removed"] == 8


def test_the_job_says_what_it_found_and_left(home, lake):
    append(lake, range(9))
    told = run_stage("compact_lake", home=home.root)
    assert told["before"]["files"] == 9 + 10
    assert told["after"]["files"] == 1 + 13
    assert told["removed"] == 9


def test_at_its_budget_it_stops_between_two_tables_and_says_so(home, lake):
    append(lake, range(3))
    told = compact(home, budget_s=1e-9)
    assert told["stopped_by"] == "budget, left for the next run: turns"
    assert told["removed"] == 0


def append_on(root, started):
    lake = Lake(root)
    n = lake.written("turns", writer="w") + 1
    while True:
        append(lake, [n])
        n += 1
        started.set()


def compact_on(root):
    while True:
        compact(Home(root))


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_moments_beside_killed_appends_it_leaves_every_row_once(home, lake, kills):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rapport.pipeline.compaction", "rapport.testing"])
    moments = random.Random(7)
    for _ in range(kills):
        started = context.Event()
        writer = context.Process(target=append_on, args=(lake.root, started))
        carer = context.Process(target=compact_on, args=(home.root,))
        writer.start()
        carer.start()
        assert started.wait(60)
        time.sleep(moments.uniform(0.1, 0.5))
        for process in (carer, writer):
            process.kill()
            process.join(30)
    compact(home)
    rows = lake.written("turns", writer="w") + 1
    assert places(lake) == list(range(rows))
    assert orphans(home) == set()
    assert len(list((home.lake / "turns").glob("*.parquet"))) == 1
    say(f"compaction and appends killed {kills} times: {rows} rows, each once, no orphan")


def say_something(lake, home):
    """A text of 40 days ago and one of today, of two tenants, in lake and store."""
    rows: dict[str, list[dict[str, Any]]] = {"turns": [], "decisions": [], "feedback": []}
    for days, tenant in ((40, "strict"), (0, "strict"), (40, "default"), (0, "default")):
        ts, name = NOW - dt.timedelta(days=days), f"{tenant}-{days}"
        said = {"text": "zanzibar" if (days, tenant) == (40, "strict") else f"kept {name}"}
        event: dict[str, Any] = {"tenant": tenant, "ts": ts}
        rows["turns"].append(a_turn(**event, **said, conversation_id=name))
        decision = a_decision(**event, decision_id=name, episode_id=name)
        decision["candidates"][0] |= said
        rows["decisions"].append(decision)
        rows["feedback"].append(some_feedback(**event, **said, feedback_id=name))
    refused = {"tenant": "strict", "source": "s", "position": "p", "reason": "r"}
    rows["quarantine"] = [refused | {"ts": NOW - dt.timedelta(days=40), "row": "zanzibar"}]
    for table, some in rows.items():
        for row in some:
            lake.append(table, [row], writer="w")
    store = open_store(home.store_url)
    store.commit([("turns", row) for row in rows["turns"]])
    store.close()


def texts(lake):
    turns = lake.scan("turns", purpose="train").collect().sort("text")["text"].to_list()
    asked = lake.sql("select candidates[1].text as t from decisions order by 1 nulls first")
    return turns, asked.column(0).to_pylist()


def bytes_of(home):
    for path in home.root.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
            if path.suffix == ".parquet":
                yield str(pq.read_table(path).to_pylist()).encode()


def limit_texts(home):
    home.tenants.write_text("strict: {retention_days: 30}\nnever: {}\n", encoding="utf-8")


KEPT = ["kept default-0", "kept default-40", "kept strict-0"]


def test_texts_past_their_tenants_time_leave_no_byte_and_their_rows_stay(home, lake):
    say_something(lake, home)
    version = lake.version("turns")
    release = publish_release(home, {"turns": version, "rewards": -1})
    assert compact(home)["blanked"] == {}
    limit_texts(home)
    assert any(b"zanzibar" in part for part in bytes_of(home))
    told = compact(home)
    every = {"store": 2, "turns": 1, "decisions": 1, "feedback": 1, "quarantine": 1}
    assert told["blanked"] == every  # the store's row waits in its outbox too
    assert not any(b"zanzibar" in part for part in bytes_of(home))
    assert texts(lake) == ([None, *KEPT], [None, *KEPT])
    assert told["not_retrainable"] == [release]
    assert not_retrainable(lake) == {release: ["turns"]}
    shown = CliRunner().invoke(
        cli, ["release", "show", release, "--home", str(home.root), "--json"]
    )
    assert json.loads(shown.stdout)["not_retrainable"] == ["turns"]
    versions = {table: lake.version(table) for table in lake.tables()}
    assert compact(home)["blanked"] == {}
    assert {table: lake.version(table) for table in lake.tables()} == versions


def test_a_retention_cut_off_between_its_steps_is_completed_by_the_next_run(
    home, lake, monkeypatch
):
    say_something(lake, home)
    limit_texts(home)
    monkeypatch.setattr("rapport.lake.lake.forget", crash)
    with pytest.raises(RuntimeError):
        compact(home)
    monkeypatch.undo()
    assert any(b"zanzibar" in part for part in bytes_of(home))
    compact(home)
    assert not any(b"zanzibar" in part for part in bytes_of(home))
    assert texts(lake) == ([None, *KEPT], [None, *KEPT])
    assert not (home.root / versions_module.FLAG).exists()


def crash(*_, **__):
    raise RuntimeError
