"""`rapport erase`: no byte of the erased anywhere in the home, every row of the others."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rapport.cli import app
from rapport.errors import ConfigError, LockedError
from rapport.home import Home
from rapport.pipeline.erasure import erase_users
from rapport.pipeline.versions import not_retrainable
from rapport.store import open_store
from tests.statistics.report import say
from tests.unit.pipeline.populated import (
    contents,
    fill_lake,
    fill_store,
    fill_work,
    found,
    keys_of,
    user,
    words,
)

PLATFORM = Path(__file__).parents[3] / "platform"
GONE = (0, 3)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def needles(home, numbers):
    return [name(n) for n in numbers for name in (user, words)] + keys_of(home, numbers)


def fill(home, *, users=6, turns=4):
    lake = fill_lake(home, users=users, turns=turns)
    fill_store(home, range(users))
    fill_work(home, GONE)
    return lake


def erase(home, lake, numbers=GONE):
    return erase_users(home, lake, [user(n) for n in numbers], tenant="default")


def test_a_hundred_users_leave_a_lake_of_a_hundred_thousand_turns(home):
    lake = fill_lake(home, users=1000, turns=100)
    gone = range(0, 1000, 10)
    fill_store(home, range(200))
    fill_work(home, gone)
    planted, keys = needles(home, gone), keys_of(home, gone)
    assert found(home, planted) == set(planted)
    others = contents(lake, without=keys)
    before = sum(path.stat().st_size for path in home.root.rglob("*") if path.is_file())

    counts = erase(home, lake, gone)

    assert found(home, planted) == set()
    assert counts["lake"]["turns"] == 10_000
    assert counts["store"]["turns"] == 20
    assert counts["work"] == {"rows": 100, "entries": 100, "files": 100}
    left = contents(lake, without=())
    assert left.keys() == others.keys()
    for table, rows in others.items():
        assert left[table].equals(rows), table
    assert others["turns"].height == 90_000
    assert found(home, needles(home, [11])) == set(needles(home, [11]))
    say(f"100 of 1,000 users erased: {counts['rows']:,} rows of a home of {before:,} bytes")


def test_a_store_elsewhere_is_erased_from_too(tmp_path, postgres):
    url = postgres.database()
    home = Home(tmp_path / "home", store=url)
    lake = fill(home)
    assert erase(home, lake)["store"]["turns"] > 0
    assert erase(home, lake)["store"] == {}
    with pytest.raises(ConfigError, match="RAPPORT_STORE"):
        erase(Home(home.root), lake)
    postgres.drop(url)


def test_erasing_again_finds_nothing_and_touches_nothing(home):
    lake = fill(home)
    erase(home, lake)
    versions = {table: lake.version(table) for table in lake.tables()}
    again = erase(home, lake)
    assert again["rows"] == 0
    assert {table: lake.version(table) for table in lake.tables()} == versions


def test_a_user_nobody_knows_costs_no_release_its_versions(home):
    lake = fill(home)
    version = lake.version("turns")
    lake.compact("turns")
    assert erase_users(home, lake, ["who"], tenant="default")["rows"] == 0
    assert erase_users(home, lake, [user(0)], tenant="another")["rows"] == 0
    assert lake.is_readable("turns", version - 1)
    with pytest.raises(ConfigError, match="name the users"):
        erase_users(home, lake, ["  "], tenant="default")


def test_in_a_home_without_anything_nobody_is_known(home, tmp_path):
    result = CliRunner().invoke(app, ["erase", "alice", "--home", str(home.root), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows"] == 0
    assert not home.lake.exists()


@pytest.mark.parametrize("lock", ["serve", "run"])
def test_nobody_is_erased_while_the_home_is_served_or_run(home, lock):
    lake = fill(home)
    with home.lock(lock):
        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            erase(home, lake)
        arguments = ["erase", user(0), "--home", str(home.root)]
        assert CliRunner().invoke(app, arguments).exit_code == 2
    assert found(home, needles(home, GONE)) == set(needles(home, GONE))
    assert erase(home, lake)["rows"] > 0


def test_releases_whose_versions_go_are_marked(home):
    lake = fill(home)
    version = lake.version("turns")
    note = {"release_id": "r1", "part": "log", "table": "turns", "table_version": version}
    absent = note | {"table": "decisions", "table_version": -1}
    lake.append("lineage", [note, absent], writer="release/r1", version=1)
    candidate = home.releases / ".candidates" / "c"
    candidate.mkdir(parents=True)
    assert lake.is_readable("turns", version)
    assert erase(home, lake)["not_retrainable"] == ["c", "r1"]
    assert not lake.is_readable("turns", version)
    assert not_retrainable(lake) == {"c": ["turns"], "r1": ["turns"]}
    query = "select release_id from lineage where part = 'not re-trainable' order by 1"
    assert lake.sql(query).column(0).to_pylist() == ["c", "r1"]
    assert erase(home, lake, [1])["not_retrainable"] == []


def test_refused_rows_go_by_the_whole_id_alone(home):
    lake = fill(home)
    row = {
        "tenant": "default", "ts": contents(lake, without=())["users"]["ts"][0], "source": "s",
        "position": "p", "reason": "r",
    }  # fmt: skip
    rows = [row | {"row": f'{{"user": "{name}"}}'} for name in ("ann", "anna", "jo.ann", "x")]
    lake.append("quarantine", rows, writer="w")
    assert erase_users(home, lake, ["ann"], tenant="default")["lake"] == {"quarantine": 2}
    left = lake.scan("quarantine").collect()["row"].to_list()
    assert '{"user": "anna"}' in left
    assert '{"user": "ann"}' not in left


DIE = """
import os, signal, sys
from pathlib import Path
from rapport.home import Home
from rapport.lake import Lake
import rapport.lake.lake, rapport.pipeline.erasure as erasure, rapport.store.store as store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

places = {
    "before the store is scrubbed": (store, "scrub"),
    "after the store": (erasure, "mark_not_retrainable"),
    "between delete and forget": (rapport.lake.lake, "forget"),
    "before the leftovers": (erasure, "erase_leftovers"),
}
module, name = places[sys.argv[2]]
setattr(module, name, die)
home = Home(Path(sys.argv[1]))
erasure.erase_users(home, Lake(home.lake), sys.argv[3:], tenant="default")
"""


@pytest.mark.parametrize(
    "moment",
    [
        "before the store is scrubbed",
        "after the store",
        "between delete and forget",
        "before the leftovers",
    ],
)
def test_an_erasure_killed_at_any_step_is_completed_by_the_next(home, moment):
    lake = fill(home)
    others = contents(lake, without=keys_of(home, GONE))
    paths = [str(PLATFORM), os.environ.get("PYTHONPATH", "")]
    died = subprocess.run(
        [sys.executable, "-c", DIE, str(home.root), moment, *map(user, GONE)],
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert died.returncode == -signal.SIGKILL
    assert found(home, needles(home, GONE))
    erase(home, lake)
    assert found(home, needles(home, GONE)) == set()
    left = contents(lake, without=())
    assert all(left[table].equals(rows) for table, rows in others.items())
    assert not (home.root / "forgetting").exists()


def test_what_was_erased_from_the_outbox_never_reaches_the_lake(home):
    lake = fill(home)
    erase(home, lake)
    store = open_store(home.store_url)
    assert store.outbox.waiting() == {"decisions": 4, "feedback": 4, "turns": 4}
    store.close()
