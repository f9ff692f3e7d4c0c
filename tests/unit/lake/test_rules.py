"""What Delta, DuckDB and polars do to those who do not know it: one test for each rule."""

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from rapport.lake import Lake
from rapport.schema import SCHEMAS, schema_of
from rapport.testing import a_decision, a_turn, some_feedback

PLATFORM = Path(__file__).parents[2] / "platform"
GONE, KEPT = "a" * 16 + "0123456789abcdef", "b" * 16 + "fedcba9876543210"
SECRETS = (GONE, "zanzibar", "quokka", "conversation-of-the-gone")

READ_WITH_LIMITS = """
import sys
from rapport.lake import Lake
lake = Lake(sys.argv[1])
for n in range(1, 9):
    assert lake.sql(f"select * from turns order by turn_index limit {n}").num_rows == n
    assert lake.sql(f"select text from turns limit {n}").num_rows == n
    assert lake.scan("turns", purpose="train").head(n).collect().height == n
"""


def test_rule_a_limits_neither_hang_nor_crash_since_nothing_scans_a_dataset(tmp_path):
    lake = Lake(tmp_path)
    for part in range(8):
        rows = [a_turn(turn_index=100 * part + n, text=f"text {n}" * 20) for n in range(100)]
        lake.append("turns", rows, writer="w")
    command = [sys.executable, "-c", READ_WITH_LIMITS, str(tmp_path)]
    subprocess.run(command, check=True, timeout=120, env={"PYTHONPATH": str(PLATFORM)})
    for path in PLATFORM.rglob("*.py"):
        assert ".to_pyarrow_dataset(" not in path.read_text(encoding="utf-8"), path


def test_rule_b_a_transaction_is_looked_up_before_it_is_written(tmp_path):
    lake = Lake(tmp_path)
    rows = [a_turn()]
    assert lake.append("turns", rows, writer="relay", version=1)
    assert not lake.append("turns", rows, writer="relay", version=1)
    assert not Lake(tmp_path).append("turns", rows, writer="relay", version=1)
    assert lake.scan("turns", purpose="train").collect().height == 1


@pytest.mark.parametrize("table", SCHEMAS)
def test_rule_c_tables_are_made_without_statistics_of_text_and_keep_old_versions(tmp_path, table):
    lake = Lake(tmp_path)
    if table == "turns":
        lake.append(table, [a_turn(text="zanzibar", user_id=GONE)], writer="w")
    else:
        lake.append(table, schema_of(table).empty_table(), writer="w", version=1)
    assert DeltaTable(f"{tmp_path}/{table}").metadata().configuration == {
        "delta.dataSkippingStatsColumns": "ts",
        "delta.logRetentionDuration": "interval 0 days",
        "delta.enableExpiredLogCleanup": "false",
    }
    log = b"".join(path.read_bytes() for path in (tmp_path / table / "_delta_log").iterdir())
    assert b"zanzibar" not in log
    assert GONE.encode() not in log


def test_rule_c_the_automatic_checkpoint_removes_no_version(tmp_path):
    lake = Lake(tmp_path)
    lake.append("turns", [a_turn()], writer="w")
    DeltaTable(f"{tmp_path}/turns").alter.set_table_properties({"delta.checkpointInterval": "4"})
    for n in range(1, 14):
        lake.append("turns", [a_turn(turn_index=2 * n)], writer="w")
    assert list((tmp_path / "turns/_delta_log").glob("*.checkpoint.parquet"))
    assert lake.scan("turns", purpose="train", version=1).collect().height == 1
    assert lake.scan("turns", purpose="train", version=7).collect().height == 6


def a_lake_of_two_users(root):
    lake = Lake(root)
    for n, user in enumerate((GONE, KEPT)):
        words = "zanzibar quokka" if user == GONE else "kept words"
        episode = "conversation-of-the-gone" if user == GONE else "kept"
        turns = [
            a_turn(user_id=user, conversation_id=episode, turn_index=2 * i, text=f"{words} {i}")
            for i in range(40)
        ]
        lake.append("turns", turns, writer="ingest", version=n)
        decision = a_decision(user_id=user, episode_id=episode)
        decision["candidates"][0]["text"] = words
        lake.append("decisions", [decision], writer="ingest", version=n)
        feedback = some_feedback(user_id=user, episode_id=episode, value=None, text=words)
        lake.append("feedback", [feedback], writer="ingest", version=n)
        profile = {
            "tenant": "default", "user_id": user, "attributes": {"pet": words}, "preferences": {},
            "set_by": "user", "ts": turns[0]["ts"],
        }  # fmt: skip
        lake.append("users", [profile], writer="ingest", version=n)
    lake.compact("turns")
    return lake


def bytes_of(root):
    """Every byte of every file, and the contents of the Parquet files read out."""
    for path in root.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
            if path.suffix == ".parquet":
                yield str(pq.read_table(path).to_pylist()).encode()


def secrets_in(root):
    return {s for part in bytes_of(root) for s in SECRETS if s.encode() in part}


def test_rule_c_erasure_leaves_no_byte_of_the_user_and_all_of_the_others(tmp_path):
    lake = a_lake_of_two_users(tmp_path)
    assert secrets_in(tmp_path) == set(SECRETS)
    before = lake.scan("turns", purpose="train").collect().height
    counts = lake.erase([GONE])
    assert counts == {"turns": 40, "decisions": 1, "feedback": 1, "users": 1}
    assert secrets_in(tmp_path) == set()
    left = lake.scan("turns", purpose="train").collect()
    assert left.height == before - 40
    assert set(left["user_id"]) == {KEPT}
    assert lake.sql("select count(*) as n from decisions").to_pylist() == [{"n": 1}]


def test_rule_c_erasure_can_be_repeated_after_a_crash_and_is_exact_about_whom(tmp_path):
    lake = a_lake_of_two_users(tmp_path)
    for table in ("turns", "decisions"):  # where a crash might have left it
        DeltaTable(f"{tmp_path}/{table}").delete(f"user_id = '{GONE}'")
    assert GONE in secrets_in(tmp_path)
    lake.erase([GONE])
    assert secrets_in(tmp_path) == set()
    assert lake.erase(["' or true or '"])["turns"] == 0
    assert lake.erase([]) == {}
    assert lake.scan("turns", purpose="train").collect().height == 40


def test_rule_c_erasure_takes_files_that_no_commit_names(tmp_path):
    lake = a_lake_of_two_users(tmp_path)
    for file in (tmp_path / "turns").glob("*.parquet"):  # as an append killed half-way leaves it
        shutil.copy(file, file.with_name(f"part-00000-{file.name[11:20]}-orphan.snappy.parquet"))
    lake.erase([GONE])
    assert secrets_in(tmp_path) == set()
    assert lake.scan("turns", purpose="train").collect().height == 40


def test_rule_c_erasure_forgets_neither_writers_nor_properties(tmp_path):
    lake = a_lake_of_two_users(tmp_path)
    lake.erase([GONE], ["turns"])
    assert lake.written("turns", writer="ingest") == 1
    assert not lake.append("turns", [a_turn(user_id=GONE)], writer="ingest", version=1)
    assert lake.append("turns", [a_turn(user_id=KEPT)], writer="ingest", version=2)
    configuration = DeltaTable(f"{tmp_path}/turns").metadata().configuration
    assert configuration["delta.dataSkippingStatsColumns"] == "ts"
    assert lake.sql("select * from users").num_rows == 2


def append_turns(root, count, started):
    lake = Lake(root)
    for n in range(count):
        lake.append("turns", [a_turn(user_id=KEPT, turn_index=2 * n)], writer="busy", version=n)
        started.set()


def test_rule_c_erasure_takes_no_file_from_an_append_that_runs_beside_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    writer = context.Process(target=append_turns, args=(tmp_path, 25, started))
    writer.start()
    assert started.wait(60)
    lake = Lake(tmp_path)
    for _ in range(4):
        lake.erase([GONE])
    writer.join(60)
    assert writer.exitcode == 0
    found = lake.scan("turns", purpose="train").collect()["turn_index"].to_list()
    assert sorted(found) == [2 * n for n in range(25)]


def test_rule_d_vectors_of_any_length_are_lists_beside_their_encoder(tmp_path):
    lake = Lake(tmp_path)
    event = {"tenant": "default", "user_id": KEPT, "last_event_ts": a_turn()["ts"]}
    rows = [
        {**event, "encoder_id": "small", "vector": [0.5, -0.25]},
        {**event, "encoder_id": "large", "vector": [0.125] * 384},
    ]
    lake.append("user_embeddings", rows, writer="w")
    found = lake.scan("user_embeddings").sort("encoder_id").collect()
    assert [len(vector) for vector in found["vector"]] == [384, 2]
    assert found["vector"][1].to_list() == [0.5, -0.25]
    asked = lake.sql("select vector from user_embeddings where encoder_id = 'small'")
    assert asked.to_pylist() == [{"vector": [0.5, -0.25]}]
