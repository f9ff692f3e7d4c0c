import json
import os

import polars as pl
import pytest

from rapport.home import Home
from rapport.pipeline.leftovers import Names, erase_leftovers

GONE, KEPT = "a" * 32, "b" * 32
ALICE = Names("default", frozenset({"alice"}), frozenset({GONE}))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_rows_of_tables_go_by_key_and_by_raw_id_of_their_tenant(home):
    path = home.work / "turns.parquet"
    rows = {
        "tenant": ["default", "default", "other", "default", "other"],
        "user_id": ["alice", "bob", "alice", GONE, GONE],
        "n": [0, 1, 2, 3, 4],
    }
    pl.DataFrame(rows).write_parquet(path)
    assert erase_leftovers(home, ALICE) == {"rows": 3, "entries": 0, "files": 0}
    assert pl.read_parquet(path)["n"].to_list() == [1, 2]
    assert erase_leftovers(home, ALICE)["rows"] == 0


def test_documents_lose_their_entries_and_keep_their_age(home):
    path = home.work / "origins.json"
    document = {"users": [GONE, KEPT], GONE: 1, "nested": [{"by": f"user {GONE}", "n": 2}]}
    path.write_text(json.dumps(document))
    os.utime(path, (1000, 1000))
    assert erase_leftovers(home, ALICE)["entries"] == 3
    assert json.loads(path.read_text()) == {"users": [KEPT], "nested": [{"by": None, "n": 2}]}
    assert path.stat().st_mtime == 1000
    assert GONE not in path.read_text()


@pytest.mark.parametrize("name", ["cache.pkl", "result.json", "run.log", "table.parquet"])
def test_other_files_that_name_them_are_removed(home, name):
    folder = home.logs if name.endswith("log") else home.work
    content = f'{{"user": "{GONE}"}}\n{{"user": "{KEPT}"}}\n'
    (folder / name).write_text(content)
    (folder / f"other-{name}").write_text(content.replace(GONE, KEPT))
    assert erase_leftovers(home, ALICE)["files"] == 1
    assert not (folder / name).exists()
    assert (folder / f"other-{name}").exists()


def test_a_key_inside_a_longer_hash_is_nobody(home):
    path = home.work / "hashes.json"
    path.write_text(json.dumps({"sha256": GONE + GONE}))
    assert sum(erase_leftovers(home, ALICE).values()) == 0
