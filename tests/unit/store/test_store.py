import datetime as dt
import multiprocessing
import sqlite3

import pytest
from sqlalchemy import create_engine

from rapport.errors import ConfigError, RowError, UnavailableError
from rapport.store import Episode, open_store, tables
from rapport.store.records import decoded
from rapport.testing import a_decision, a_turn, some_feedback

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def rows_in(store):
    return {
        "decisions": len(store.decisions("default")),
        "turns": len(store.turns_of("conversation-0")),
        "outbox": sum(store.outbox.waiting().values()),
    }


def a_profile(**columns):
    row = {
        "tenant": "default", "user_id": "u", "attributes": {"pet": "cat"}, "preferences": {},
        "set_by": "user", "ts": MONDAY,
    }  # fmt: skip
    return row | columns


def test_rows_are_committed_with_their_outbox_entries_in_their_order(store):
    rows = [("turns", a_turn()), ("decisions", a_decision()), ("turns", a_turn(turn_index=1))]
    assert store.commit(rows) == (True, True, True)
    assert rows_in(store) == {"decisions": 1, "turns": 2, "outbox": 3}
    entries = {
        name: store.outbox.entries(name, after=0, limit=9) for name in ("turns", "decisions")
    }
    assert [entry.seq for entry in entries["turns"]] == [1, 3]
    turns = [decoded("turns", entry.payload) for entry in entries["turns"]]
    assert [turn["turn_index"] for turn in turns] == [0, 1]
    decision = decoded("decisions", entries["decisions"][0].payload)
    assert decision == store.decision(a_decision()["decision_id"])


def test_one_bad_row_keeps_its_whole_commit_out(store):
    bad = {**some_feedback(), "value": "very good"}
    with pytest.raises(RowError, match=r"feedback\.value"):
        store.commit([("turns", a_turn()), ("feedback", bad)], episodes=[AN_EPISODE])
    assert rows_in(store) == {"decisions": 0, "turns": 0, "outbox": 0}


def test_a_commit_that_fails_half_way_leaves_nothing(store, url):
    engine = create_engine(url)
    tables.episodes.drop(engine)
    engine.dispose()
    with pytest.raises(Exception, match="episodes"):
        store.commit([("turns", a_turn())], episodes=[AN_EPISODE])
    assert rows_in(store) == {"decisions": 0, "turns": 0, "outbox": 0}


def test_the_same_id_counts_once_and_the_first_row_stays(store):
    assert store.commit([("feedback", some_feedback(value=5.0))]) == (True,)
    again = some_feedback(value=1.0)
    assert store.commit([("feedback", again), ("turns", a_turn())]) == (False, True)
    assert store.commit([("turns", a_turn(turn_index=2))] * 2) == (True, False)
    found = store.feedback(again["feedback_id"], tenant="default")
    assert found["value"] == 5.0
    assert store.outbox.waiting() == {"feedback": 1, "turns": 2}


def test_tenants_may_use_the_same_feedback_id(store):
    mine = some_feedback(feedback_id="1", value=5.0)
    theirs = some_feedback(feedback_id="1", value=2.0, tenant="acme")
    assert store.commit([("feedback", mine), ("feedback", theirs)]) == (True, True)
    assert store.feedback("1", tenant="acme")["value"] == 2.0
    assert store.feedback("1", tenant="default")["value"] == 5.0
    assert store.feedback("1", tenant="other") is None
    assert store.feedback("1") is not None


def test_unknown_ids_are_none(store):
    assert store.decision("nowhere") is None
    assert store.feedback("nowhere") is None
    assert store.user("default", "nobody") is None
    assert store.last_decision("default", "nowhere") is None
    assert store.episode_by_prefix("default", "nobody", "0") is None


def test_rows_are_found_by_what_they_belong_to(store):
    minutes = [MONDAY + dt.timedelta(minutes=n) for n in range(3)]
    decisions = [
        a_decision(decision_id=f"d{n}", episode_id="e", ts=ts, user_id=f"u{n % 2}")
        for n, ts in enumerate(minutes)
    ]
    store.commit([("decisions", row) for row in decisions])
    store.commit(
        [
            ("feedback", some_feedback(decision_id="d1", episode_id="e", ts=minutes[1])),
            ("feedback", some_feedback(decision_id="d0", episode_id="x", ts=minutes[0])),
        ]
    )
    store.commit([("turns", a_turn(turn_index=n)) for n in (4, 0, 2)])
    assert [d["decision_id"] for d in store.decisions("default", limit=2)] == ["d2", "d1"]
    assert [d["decision_id"] for d in store.decisions("default", user_id="u0")] == ["d2", "d0"]
    assert store.decisions("acme") == []
    assert store.last_decision("default", "e")["decision_id"] == "d2"
    assert store.last_decision("acme", "e") is None
    assert [f["decision_id"] for f in store.feedback_of(episode_id="e")] == ["d1"]
    assert [f["decision_id"] for f in store.feedback_of(decision_id="d0")] == ["d0"]
    assert [t["turn_index"] for t in store.turns_of("conversation-0")] == [0, 2, 4]


AN_EPISODE = Episode("default", "u", "f" * 64, "e1", 2)


def test_an_episode_goes_on_where_its_prefix_left_it(store):
    store.commit([("turns", a_turn())], episodes=[AN_EPISODE])
    assert store.episode_by_prefix("default", "u", "f" * 64) == AN_EPISODE
    assert store.episode_by_prefix("default", "v", "f" * 64) is None
    moved = Episode("default", "u", "f" * 64, "e2", 4)
    store.commit([], episodes=[Episode("default", "u", "0" * 64, "e3", 2), moved, moved])
    assert store.episode_by_prefix("default", "u", "f" * 64) == moved


def test_the_latest_profile_of_a_user_wins_and_all_of_them_go_to_the_lake(store):
    store.commit([("users", a_profile())])
    store.commit(
        [("users", a_profile(attributes={"pet": "dog"})), ("users", a_profile(user_id="v"))]
    )
    assert store.user("default", "u")["attributes"] == {"pet": "dog"}
    assert store.user("default", "v")["attributes"] == {"pet": "cat"}
    assert store.outbox.waiting() == {"users": 3}


def test_a_store_keeps_its_id_and_rows_over_restarts(url):
    first = open_store(url)
    first.commit([("turns", a_turn())])
    first.close()
    second = open_store(url)
    assert second.id == first.id
    assert rows_in(second)["turns"] == 1
    second.close()


@pytest.mark.parametrize(
    "wrong", ["store.db", "nosuchdatabase://h/x", "postgresql+nosuchdriver://me:hush@h/x", "sqlite"]
)
def test_a_wrong_url_is_refused_with_the_right_form_and_no_password(wrong):
    with pytest.raises(ConfigError, match="sqlite:///FILE") as caught:
        open_store(wrong)
    assert "hush" not in str(caught.value)


def test_a_store_that_cannot_be_opened_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="unable to open"):
        open_store(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    (tmp_path / "notes.db").write_text("no database at all, " * 100)
    with pytest.raises(UnavailableError):
        open_store(f"sqlite:///{tmp_path / 'notes.db'}")


def test_sqlite_is_durable_and_patient(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    with opened._database.reading() as connection:
        asked = ("journal_mode", "synchronous", "busy_timeout")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked}
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}
    opened.close()


def test_readers_do_not_wait_for_a_writer(tmp_path):
    path = tmp_path / "store.db"
    opened = open_store(f"sqlite:///{path}")
    opened.commit([("turns", a_turn())])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert rows_in(opened)["turns"] == 1
    other.execute("ROLLBACK")
    other.close()
    opened.close()


def commit_many(url, name, count):
    opened = open_store(url)
    for n in range(count):
        row = a_decision(decision_id=f"{name}-{n}", episode_id=name)
        assert opened.commit([("decisions", row), ("feedback", SHARED)])[0]
    opened.close()


SHARED = some_feedback(feedback_id="shared")


def test_processes_that_open_and_commit_at_once_lose_nothing(url):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=commit_many, args=(url, f"w{n}", 10)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(90)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    opened = open_store(url)
    assert opened.outbox.waiting() == {"decisions": 30, "feedback": 1}
    opened.close()
