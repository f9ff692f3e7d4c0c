import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from rapport.errors import ConfigError, TooLittleDataError
from rapport.home import user_key
from rapport.measuring.dialogues import read_dialogues, replies_in
from tests.unit.ingest.conftest import TALK, a_record

SECRET = b"s" * 32
START = datetime(2026, 1, 1, tzinfo=UTC)


def turns(path, rows):
    """Rows of user, conversation, role, text, arm; a minute apart, numbered by conversation."""
    said, seen = [], Counter[str]()
    for minute, (user, talk, role, text, arm) in enumerate(rows):
        said.append(
            {
                "user_id": user,
                "conversation_id": talk,
                "role": role,
                "text": text,
                "arm": arm,
                "turn_index": seen[talk],
                "timestamp": START + timedelta(minutes=minute),
            }
        )
        seen[talk] += 1
    pl.DataFrame(said).write_parquet(path)
    return path


TALKS = [
    ("ann", "a", "user", "one", None),
    ("ann", "a", "assistant", "first", "question"),
    ("ann", "a", "user", "two", None),
    ("ann", "a", "assistant", "second", "self_disclosure"),
    ("bob", "b", "assistant", "hello", None),
    ("bob", "b", "user", "three", None),
    ("bob", "b", "assistant", "third", None),
    ("ann", "c", "user", "four", None),
    ("ann", "c", "user", "five", None),
    ("ann", "c", "assistant", "fourth", "question"),
]


def cases(path, *, without=(), limit=100, history=5):
    spoken = read_dialogues(path, tenant="default", secret=SECRET)
    drawn = replies_in(spoken, without=without, limit=limit, history=history, seed=0)
    return {case.reply: case for case in drawn}


def test_replies_know_what_came_before_and_nothing_later(tmp_path):
    found = cases(turns(tmp_path / "turns.parquet", TALKS))
    assert set(found) == {"first", "second", "third", "fourth"}
    assert [m["content"] for m in found["second"].messages] == ["one", "first", "two"]
    assert found["second"].said == ["one", "two"]
    assert found["fourth"].said == ["one", "two", "four", "five"]
    assert [m["content"] for m in found["third"].messages] == ["hello", "three"]
    assert [m["content"] for m in found["fourth"].messages] == ["four", "five"]


def test_prompts_hold_the_last_messages_alone(tmp_path):
    found = cases(turns(tmp_path / "turns.parquet", TALKS), history=2)
    assert [m["content"] for m in found["second"].messages] == ["first", "two"]


def test_arms_are_known_where_they_are_served(tmp_path):
    found = cases(turns(tmp_path / "turns.parquet", TALKS))
    assert found["first"].arm is not None
    assert found["first"].arm.name == "question"
    assert found["second"].arm is None
    assert found["third"].arm is None


def test_users_are_hashed_and_can_be_left_out(tmp_path):
    path, ann = turns(tmp_path / "turns.parquet", TALKS), user_key(SECRET, "default", "ann")
    assert cases(path)["first"].user == ann
    assert set(cases(path, without={ann})) == {"third"}
    with pytest.raises(TooLittleDataError, match="did not learn from"):
        cases(path, without={ann, user_key(SECRET, "default", "bob")})


def test_a_limit_draws(tmp_path):
    assert len(cases(turns(tmp_path / "turns.parquet", TALKS), limit=2)) == 2


def test_a_folder_of_a_simulated_log_and_esconv_are_read(tmp_path):
    turns(tmp_path / "turns.parquet", TALKS)
    assert len(cases(tmp_path)) == 4
    file = tmp_path / "esconv.jsonl"
    file.write_text(json.dumps(a_record()) + "\nno json\n")
    spoken = read_dialogues(file, tenant="default", secret=SECRET)
    assert (spoken.turns.height, spoken.rows, spoken.skipped) == (len(TALK), len(TALK) + 1, 1)


def test_other_files_are_told(tmp_path):
    csv = tmp_path / "turns.csv"
    csv.write_text("conversation_id,role,text\na,user,one\n")
    with pytest.raises(ConfigError, match="no file of this kind"):
        read_dialogues(csv, tenant="default", secret=SECRET)
    renamed = csv.rename(tmp_path / "turns.parquet")
    with pytest.raises(ConfigError, match="no readable parquet"):
        read_dialogues(renamed, tenant="default", secret=SECRET)
    other = tmp_path / "other.parquet"
    pl.DataFrame({"role": ["user"], "text": ["one"]}).write_parquet(other)
    with pytest.raises(ConfigError, match="no column conversation_id; give a turns table"):
        read_dialogues(other, tenant="default", secret=SECRET)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="no file of this format"):
        read_dialogues(empty, tenant="default", secret=SECRET)


def test_an_empty_table_is_told(tmp_path):
    path = tmp_path / "turns.parquet"
    names = ("conversation_id", "role", "text")
    pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_parquet(path)
    with pytest.raises(TooLittleDataError, match="turns in the file"):
        read_dialogues(path, tenant="default", secret=SECRET)
