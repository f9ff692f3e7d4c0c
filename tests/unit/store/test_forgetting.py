import datetime as dt

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from rapport.errors import UnavailableError
from rapport.lake import Lake
from rapport.store import Change, Episode, MindState, UserState, open_store, relay
from rapport.store.records import decoded
from rapport.testing import a_decision, a_turn, some_feedback
from rapport.testing.rows import START

GONE, KEPT = "a" * 16 + "0123456789abcdef", "b" * 16 + "fedcba9876543210"


def fill(store, user, words, *, count=40):
    """A user in every table of the store, in enough rows to fill pages of their own."""
    for n in range(count):
        episode = f"{words}-{n}"
        decision = a_decision(user_id=user, episode_id=episode, decision_id=f"{words}-d{n}")
        decision["candidates"][0]["text"] = words * 60
        rows = [
            ("decisions", decision),
            ("turns", a_turn(user_id=user, conversation_id=episode, text=words * 60)),
            ("feedback", some_feedback(user_id=user, feedback_id=episode, text=words * 60)),
        ]
        place = Episode("default", user, f"hash-of-{words}-{n}", episode, 2)
        store.commit(rows, episodes=[place])
    profile = {
        "tenant": "default", "user_id": user, "attributes": {"pet": words}, "preferences": {},
        "set_by": "user", "ts": START,
    }  # fmt: skip
    store.commit([("users", profile)])
    store.open_decision(a_decision(user_id=user, decision_id=f"{words}-open", episode_id=words))
    vector = np.ones(3, np.float32)
    mind = MindState("default", user, "e", START, vector, words, (0.1, 0.4, 1), None)
    store.write([Change.of(minds=[mind])])
    store.put_user_states([UserState("default", user, "e", START, vector)])


@pytest.fixture
def bytes_of(request, tmp_path, url):
    """Gives every byte of the database's files, PostgreSQL's log and locks left out."""

    def read():
        if url.startswith("sqlite"):
            return b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
        base = request.getfixturevalue("postgres").data / "base"
        return b"".join(path.read_bytes() for path in base.rglob("*") if path.is_file())

    return read


def flushed(url, bytes_of):
    """Every byte of the database's files after what is in memory was written to them."""
    if url.startswith("postgresql"):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        engine.dispose()
    return bytes_of()


def payloads(store, table):
    query = f"select payload from {table} order by payload"
    with store._database.reading() as connection:
        return connection.execute(text(query)).scalars().all()


def test_an_erased_user_leaves_no_byte_and_the_others_every_row(store, bytes_of, url):
    fill(store, GONE, "zanzibar")
    fill(store, KEPT, "kept")
    before = flushed(url, bytes_of)
    assert GONE.encode() in before
    assert b"zanzibar" in before
    kept = {
        t: [p for p in payloads(store, t) if KEPT in p] for t in ("decisions", "turns", "outbox")
    }
    counts = store.erase_users([GONE])
    assert counts == {
        "decisions": 41, "turns": 40, "feedback": 40, "users": 1, "episodes": 40,
        "user_states": 1, "minds": 1, "unfinished": 1, "outbox": 121,
    }  # fmt: skip
    assert {table: payloads(store, table) for table in kept} == kept
    assert store.user_state("default", KEPT, "e") is not None
    assert store.erase_users([GONE]) == {}
    left = flushed(url, bytes_of)
    assert GONE.encode() not in left
    assert b"zanzibar" not in left
    assert KEPT.encode() in left


def test_erasure_leaves_the_relay_where_it_was(store, tmp_path):
    lake = Lake(tmp_path / "lake")
    fill(store, GONE, "zanzibar", count=3)
    relay(store, lake)
    fill(store, KEPT, "kept", count=2)
    store.erase_users([GONE])
    assert relay(store, lake)["turns"] == 2
    assert relay(store, lake) == {}


def test_conversations_of_people_without_a_name_go_with_them(store):
    key = "c" * 32
    turn = a_turn(user_id=key, conversation_id="nameless")
    store.commit([("turns", turn)], episodes=[Episode("default", "", "hash", "nameless", 2)])
    assert store.erase_users([key])["episodes"] == 1
    assert store.episode_by_prefix("default", "", "hash") is None


def test_old_texts_of_a_tenant_go_and_their_rows_stay(store, bytes_of):
    for day, words in enumerate(("zanzibar", "kept")):
        ts = START + dt.timedelta(days=10 * day)
        for tenant in ("default", "other"):
            name = f"{tenant}-{day}"
            decision = a_decision(tenant=tenant, ts=ts, decision_id=name, episode_id=name)
            decision["candidates"][0]["text"] = words if tenant == "default" else "untouched"
            said = words if tenant == "default" else "untouched"
            turn = a_turn(tenant=tenant, ts=ts, conversation_id=name, text=said)
            comment = some_feedback(tenant=tenant, ts=ts, feedback_id=name, text=said)
            store.commit([("decisions", decision), ("turns", turn), ("feedback", comment)])
    before = START + dt.timedelta(days=1)
    assert store.blank_texts("default", before=before) == 6
    assert store.blank_texts("default", before=before) == 0
    store.scrub()
    assert store.decision("default-0")["candidates"][0]["text"] is None
    assert store.decision("default-1")["candidates"][0]["text"] == "kept"
    assert store.decision("other-0")["candidates"][0]["text"] == "untouched"
    assert store.turns_of("default-0")[0]["text"] is None
    assert store.feedback("default-0", tenant="default")["value"] == 4.0
    waiting = store.outbox.entries("turns", after=0, limit=10)
    assert [decoded("turns", e.payload)["text"] for e in waiting] == [
        None,
        "untouched",
        "kept",
        "untouched",
    ]
    assert b"zanzibar" not in bytes_of()


def test_erasure_says_when_an_old_transaction_keeps_the_bytes(store, url):
    if url.startswith("sqlite"):
        pytest.skip("SQLite's readers hold the whole file, see the next test")
    fill(store, GONE, "zanzibar", count=1)
    engine = create_engine(url, isolation_level="REPEATABLE READ")
    with engine.connect() as reader:
        reader.execute(text("select pg_current_snapshot()")).all()
        with pytest.raises(UnavailableError, match="run it again"):
            store.erase_users([GONE])
    engine.dispose()
    assert store.erase_users([GONE]) == {}


def test_scrubbing_waits_for_readers_and_gives_up_after_a_while(store, url):
    fill(store, GONE, "zanzibar", count=1)
    engine = create_engine(url)
    with engine.connect() as reader:
        if url.startswith("sqlite"):
            reader.exec_driver_sql("BEGIN")
        reader.execute(text("select * from turns")).all()
        with pytest.raises(UnavailableError, match=r"run it again|lock timeout"):
            store.erase_users([GONE])
    engine.dispose()
    assert store.erase_users([GONE]) == {}
    other = open_store(url)
    assert other.decision("zanzibar-d0") is None
    other.close()
