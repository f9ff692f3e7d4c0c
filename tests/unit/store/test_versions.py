"""A store of version 1, with rows in it, becomes one of today's version and loses nothing."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, inspect, text, update
from sqlalchemy.exc import ProgrammingError

from rapport.errors import ConfigError, UnavailableError
from rapport.lake import Lake
from rapport.store import Episode, UserState, open_store, relay, tables
from rapport.testing import a_decision, a_turn, some_feedback
from rapport.testing.rows import START

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
STATE = UserState("default", "u", "e", START, np.arange(4, dtype=np.float32), "wry-03")


def fill(store):
    """Rows in every table that version 1 had."""
    place = Episode("default", "u", "f" * 64, "e1", 2)
    profile = {
        "tenant": "default", "user_id": "u", "attributes": {"pet": "cat"}, "preferences": {},
        "set_by": "user", "ts": START,
    }  # fmt: skip
    for n in range(3):
        rows = [
            ("decisions", a_decision(decision_id=f"d{n}", episode_id="e1")),
            ("turns", a_turn(conversation_id="e1", turn_index=n)),
            ("feedback", some_feedback(feedback_id=f"f{n}", decision_id=f"d{n}")),
        ]
        store.commit(rows, episodes=[place])
    store.outbox.arrived("turns", up_to=2)  # the first turn is in a lake already
    store.commit([("users", profile)])
    store.open_decision(a_decision(decision_id="open"))
    store.put_user_states([STATE])
    store.keys.add("k" * 64, tenant="default", scopes={"serve"}, label="old")
    store.switches.turn("arm", "clarify", off=True, by="ann")


def run(engine, statements):
    with engine.begin() as connection:
        for statement in filter(None, map(str.strip, statements.split(";\n"))):
            connection.exec_driver_sql(statement)


@pytest.fixture
def old(url, tmp_path):
    """URL of a version-1 store with rows, and those rows by table."""
    source = tmp_path / "source.db"
    today = open_store(f"sqlite:///{source}")
    fill(today)
    today.close()
    engine, given = create_engine(url), create_engine(f"sqlite:///{source}")
    name = engine.dialect.name
    run(engine, Path(__file__).with_name(f"version_1.{name}.sql").read_text())
    then = MetaData()
    then.reflect(engine)
    rows = {}
    with given.connect() as connection, engine.begin() as into:
        for table in then.sorted_tables:
            names = ", ".join(column.name for column in table.columns)
            found = connection.exec_driver_sql(f"select {names} from {table.name}").mappings().all()
            rows[table.name] = [dict(row) for row in found]
            if table.name == "switches":
                rows[table.name] = [row | {"off": bool(row["off"])} for row in rows[table.name]]
            into.execute(table.insert(), rows[table.name])
        into.execute(text("update meta set value = '1' where name = 'version'"))
        if name == "postgresql":  # numbers go on where the rows end
            for numbered in ("outbox", "switches"):
                asked = f"select setval('{numbered}_seq_seq', (select max(seq) from {numbered}))"
                into.exec_driver_sql(asked)
    assert all(rows.values()), rows
    given.dispose()
    engine.dispose()
    return url, rows


def contents(url, names):
    engine, now = create_engine(url), MetaData()
    now.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: sorted(map(str, connection.execute(now.tables[name].select()).mappings()))
            for name in names
        }
    engine.dispose()
    return found


def differences(url):
    """How the tables of a database differ from today's."""
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        found = compare_metadata(context, tables.metadata)
    engine.dispose()
    return [each for each in found if "alembic_version" not in str(each)]


def version(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text("select value from meta where name = 'version'")).scalar()
        columns = [column["name"] for column in inspect(connection).get_columns("unfinished")]
    engine.dispose()
    return found, columns


def test_an_old_store_keeps_every_row_and_gets_todays_tables(old):
    url, rows = old
    kept = [name for name in rows if name not in ("meta", "unfinished")]
    before = contents(url, kept)
    store = open_store(url)
    assert contents(url, kept) == before
    assert differences(url) == []
    assert version(url) == (str(tables.STORE_VERSION), ["decision_id", "opened", "until"])
    decision, key = store.decision("d1"), store.keys.valid("k" * 64)
    state = store.user_state("default", "u", "e")
    assert decision
    assert decision["episode_id"] == "e1"
    assert state
    assert (state.vector.tolist(), state.persona_id) == ([0, 1, 2, 3], "wry-03")
    assert store.mind("default", "u", "e")[0] is None
    assert key
    assert key.label == "old"
    assert store.switches.off() == {("arm", "clarify")}
    store.close()


def test_an_old_store_goes_on_where_it_was(old, tmp_path):
    url, _ = old
    store, lake = open_store(url), Lake(tmp_path / "lake")
    store.commit([("turns", a_turn(conversation_id="e1", turn_index=9))])
    assert store.close_abandoned(LATER) == 1
    moved = relay(store, lake)
    assert moved == {"decisions": 4, "feedback": 3, "turns": 3, "users": 1}
    assert relay(store, lake) == {}
    store.close()


def test_a_new_store_has_the_same_tables_as_an_upgraded_one(url):
    open_store(url).close()
    assert differences(url) == []


def test_many_that_open_an_old_store_at_once_upgrade_it_once(old):
    url, _ = old
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_store, [url] * 4))
    assert len({store.id for store in stores}) == 1
    for store in stores:
        store.close()
    assert version(url)[0] == str(tables.STORE_VERSION)


def test_an_upgrade_that_fails_leaves_the_old_version_whole(old):
    url, _ = old
    engine = create_engine(url)
    run(engine, "create table minds (tenant text);\n")  # in the way of the second step
    with pytest.raises((ProgrammingError, UnavailableError), match="minds"):
        open_store(url)
    assert version(url) == ("1", ["decision_id", "opened"])
    run(engine, "drop table minds;\n")
    engine.dispose()
    open_store(url).close()
    assert version(url)[0] == str(tables.STORE_VERSION)


def test_a_store_of_a_later_version_is_refused_and_left_alone(url):
    open_store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        later = update(tables.meta).where(tables.meta.c.name == "version").values(value="99")
        connection.execute(later)
    before = contents(url, ["meta"])
    with pytest.raises(ConfigError, match="install a newer one"):
        open_store(url)
    assert contents(url, ["meta"]) == before
    engine.dispose()
