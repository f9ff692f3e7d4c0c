import datetime as dt
import math
import multiprocessing
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from rapport.errors import ConfigError, RowError, UnavailableError, UnknownNameError
from rapport.lake import Lake, appends, to_json_rows
from rapport.schema import EVENT_TABLES, SCHEMAS, schema_of, to_table
from rapport.testing import a_decision, a_turn

NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
FLOATS = [0.1 + 0.2, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308, math.pi]


def a_metric(**columns):
    return {"release_id": "r", "name": "snips", "group": "all", "n": 3} | columns


def value_of(kind, place):
    """A value of an Arrow type, another for each place."""
    if pa.types.is_struct(kind):
        return {field.name: value_of(field.type, place) for field in kind}
    if pa.types.is_map(kind):
        return {f"k{n}": value_of(kind.item_type, place + n) for n in range(place % 3)}
    if pa.types.is_list(kind):
        return [value_of(kind.value_type, place + n) for n in range(place % 3)]
    plain = {
        pa.string(): f"täxt {place} 'quoted' \n",
        pa.timestamp("us", tz="UTC"): NOON + dt.timedelta(microseconds=place),
        pa.float64(): FLOATS[place % len(FLOATS)],
        pa.float32(): [0.5, -1.25, 0.0][place % 3],
        pa.bool_(): place % 2 == 0,
        pa.int32(): place,
        pa.int64(): 2**60 + place,
    }
    return plain[kind]


def rows_of(table, *, count=5):
    """Rows of any table; every third leaves its nullable columns away."""
    rows = []
    for place in range(count):
        fields = [f for f in schema_of(table) if not f.nullable or place % 3]
        rows.append({f.name: value_of(f.type, place + n) for n, f in enumerate(fields)})
        if table in EVENT_TABLES:
            rows[-1]["purposes"] = ["train", "analytics", "infer_affect"]
    return rows


def purpose_for(table):
    return "train" if table in EVENT_TABLES else None


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_row_comes_back_as_it_was_written(tmp_path, table):
    lake = Lake(tmp_path)
    written = to_table(table, rows_of(table))
    lake.append(table, written, writer="test")
    through_polars = lake.scan(table, purpose=purpose_for(table)).collect().to_arrow()
    assert through_polars.cast(schema_of(table)).equals(written)
    through_duckdb = lake.sql(f"select * from {table}")
    assert through_duckdb.cast(schema_of(table)).to_pylist() == written.to_pylist()


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_table_not_yet_written_is_empty_with_the_right_schema(tmp_path, table):
    lake = Lake(tmp_path / "none")
    empty = lake.scan(table, purpose=purpose_for(table)).collect()
    assert empty.is_empty()
    asked = lake.sql(f"select * from {table}")
    assert asked.num_rows == 0
    assert not (tmp_path / "none").exists()
    assert (lake.version(table), lake.written(table, writer="w")) == (-1, -1)
    lake.append(table, rows_of(table), writer="test")
    assert lake.scan(table, purpose=purpose_for(table)).collect_schema() == empty.schema
    assert lake.sql(f"select * from {table}").schema.types == asked.schema.types


def test_row_dictionaries_and_arrow_tables_of_compatible_types_are_taken(tmp_path):
    lake = Lake(tmp_path)
    lake.append("metrics", [a_metric()], writer="w")
    frame = pl.DataFrame([a_metric(estimate=None, high=0.5)]).to_arrow()
    lake.append("metrics", frame.select(["n", "name", "group", "release_id", "high"]), writer="w")
    assert sorted(lake.scan("metrics").collect()["high"].to_list(), key=str) == [0.5, None]


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (pa.table({"surprise": ["x"]}), "metrics.surprise"),
        (pa.table({"release_id": ["r"], "name": ["n"]}), "metrics.group"),
        (pa.table({"release_id": ["r"], "name": ["n"], "group": ["g"], "n": ["x"]}), "metrics.n"),
    ],
)
def test_an_arrow_table_that_does_not_fit_is_refused_naming_the_column(tmp_path, table, field):
    lake = Lake(tmp_path)
    with pytest.raises(RowError) as caught:
        lake.append("metrics", table, writer="w")
    assert caught.value.field == field
    assert lake.version("metrics") == -1


def test_a_table_outside_the_schema_is_refused(tmp_path):
    lake = Lake(tmp_path)
    for use in (lake.scan, lake.version, lake.compact, lambda t: lake.append(t, [], writer="w")):
        with pytest.raises(UnknownNameError, match="turns"):
            use("turn")


def test_tables_appear_with_their_first_row(tmp_path):
    lake = Lake(tmp_path)
    assert lake.tables() == ()
    assert lake.append("metrics", [], writer="w")
    assert lake.tables() == ()
    lake.append("metrics", [a_metric()], writer="w")
    assert lake.tables() == ("metrics",)


def test_a_version_is_written_once_for_each_writer(tmp_path):
    lake = Lake(tmp_path)
    row = [a_metric()]
    assert lake.append("metrics", row, writer="a", version=5)
    assert not lake.append("metrics", row, writer="a", version=5)
    assert not lake.append("metrics", row, writer="a", version=4)
    assert lake.append("metrics", row, writer="b", version=5)
    assert lake.append("metrics", row, writer="a", version=6)
    assert lake.append("metrics", row, writer="a")
    assert lake.written("metrics", writer="a") == 6
    assert lake.scan("metrics").collect().height == 4


def test_an_append_after_a_version_needs_just_that_version(tmp_path):
    lake = Lake(tmp_path)
    row = [a_metric()]
    assert not lake.append("metrics", row, writer="a", version=3, after=2)
    assert lake.append("metrics", row, writer="a", version=3, after=-1)
    assert not lake.append("metrics", row, writer="a", version=7, after=-1)
    assert lake.append("metrics", row, writer="a", version=7, after=3)
    assert lake.scan("metrics").collect().height == 2


def append_many(root, writer, barrier, answers):
    lake = Lake(root)
    barrier.wait(60)
    own = [lake.append("metrics", [a_metric(n=n)], writer=writer, version=n) for n in range(12)]
    answers.put((sum(own), lake.append("lineage", [LINEAGE], writer="shared", version=1)))


LINEAGE = {"release_id": "r", "part": "policy", "table": "turns", "table_version": 1}


def test_processes_that_append_at_once_all_succeed_and_a_shared_version_counts_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    writers = [
        context.Process(target=append_many, args=(tmp_path, f"w{n}", barrier, answers))
        for n in range(2)
    ]
    for writer in writers:
        writer.start()
    found = [answers.get(timeout=60) for _ in writers]
    for writer in writers:
        writer.join(60)
    assert [own for own, _ in found] == [12, 12]
    assert sum(shared for _, shared in found) == 1
    lake = Lake(tmp_path)
    assert sorted(lake.scan("metrics").collect()["n"]) == sorted([*range(12), *range(12)])
    assert lake.scan("lineage").collect().height == 1
    assert lake.version("metrics") == 24


@pytest.mark.parametrize("purpose", [None, "profit", "marketing", "pricing", "ads"])
def test_an_event_table_is_read_for_a_known_purpose_only(tmp_path, purpose):
    lake = Lake(tmp_path)
    for table in EVENT_TABLES:
        with pytest.raises(ConfigError, match="purpose"):
            lake.scan(table, purpose=purpose)
    if purpose is not None:
        with pytest.raises(ConfigError, match="purpose"):
            lake.scan("persona_assignments", purpose=purpose)
        with pytest.raises(ConfigError, match="purpose"):
            lake.sql("select 1", purpose=purpose)


def test_rows_come_back_only_for_the_purposes_they_allow(tmp_path):
    lake = Lake(tmp_path)
    turns = [
        a_turn(turn_index=0, purposes=["serve"]),
        a_turn(turn_index=2, purposes=["serve", "train"]),
        a_turn(turn_index=4, purposes=[]),
    ]
    lake.append("turns", turns, writer="w")
    found = {
        purpose: lake.scan("turns", purpose=purpose).collect()["turn_index"].to_list()
        for purpose in ("serve", "train", "analytics")
    }
    assert found == {"serve": [0, 2], "train": [2], "analytics": []}
    assert lake.sql("select * from turns", purpose="train").num_rows == 1
    assert lake.sql("select * from turns").num_rows == 0


def test_inferences_about_a_user_show_only_where_the_row_allows_them(tmp_path):
    lake = Lake(tmp_path)
    allowed = ["analytics", "infer_affect"]
    for table, build, affect in [
        ("turns", a_turn, {"sentiment": 0.5, "emotion": "joy"}),
        ("decisions", a_decision, {"persona_id": "wry-03", "persona_margin": 0.2}),
    ]:
        rows = [build(turn_index=i, purposes=allowed[: i + 1], **affect) for i in range(2)]
        lake.append(table, rows, writer="w")
        for name, value in affect.items():
            order = "turn_index"
            frame = lake.scan(table, purpose="analytics").sort(order).collect()
            assert frame[name].to_list() == [None, value]
            asked = lake.sql(f"select {name} from {table} order by {order}")
            assert asked.column(name).to_pylist() == [None, value]


def test_derived_rows_are_replaced_whole_or_where_they_match(tmp_path):
    lake = Lake(tmp_path)
    lake.replace("metrics", [a_metric(release_id="a"), a_metric(release_id="b")])
    lake.replace("metrics", [a_metric(release_id="b", n=9)], where="release_id = 'b'")
    found = lake.scan("metrics").sort("release_id").collect()
    assert found.select("release_id", "n").rows() == [("a", 3), ("b", 9)]
    lake.replace("metrics", [])
    assert lake.scan("metrics").collect().is_empty()
    with pytest.raises(ConfigError, match="never replaced"):
        lake.replace("turns", [a_turn()])


def test_an_old_version_can_be_read_again(tmp_path):
    lake = Lake(tmp_path)
    lake.append("turns", [a_turn(turn_index=0)], writer="w")
    version = lake.version("turns")
    lake.append("turns", [a_turn(turn_index=2)], writer="w")
    assert lake.scan("turns", purpose="train", version=version).collect().height == 1
    assert lake.scan("turns", purpose="train").collect().height == 2


def test_compaction_merges_files_and_changes_no_row(tmp_path):
    lake = Lake(tmp_path)
    assert lake.compact("metrics") == {"before": 0, "after": 0}
    for n in range(6):
        lake.append("metrics", [a_metric(n=n)], writer="w", version=n)
    old = lake.version("metrics")
    assert lake.compact("metrics") == {"before": 6, "after": 1}
    assert sorted(lake.scan("metrics").collect()["n"]) == list(range(6))
    assert lake.scan("metrics", version=old).collect().height == 6
    assert not lake.append("metrics", [a_metric()], writer="w", version=5)


def test_json_rows_hold_what_json_can_hold():
    table = pa.table(
        {
            "time": [NOON],
            "day": [dt.date(2026, 1, 2)],
            "whole": pa.array([Decimal(7)], pa.decimal128(38, 0)),
            "part": pa.array([Decimal("7.25")], pa.decimal128(10, 2)),
            "nan": [math.nan],
            "infinite": [-math.inf],
            "nested": [[{"a": math.nan, "b": [0.5]}]],
            "map": pa.array([[("k", math.nan)]], pa.map_(pa.string(), pa.float64())),
            "flag": [True],
            "none": pa.nulls(1),
        }
    )
    assert to_json_rows(table) == [
        {
            "time": "2026-01-01T12:00:00.123456+00:00",
            "day": "2026-01-02",
            "whole": 7,
            "part": 7.25,
            "nan": None,
            "infinite": None,
            "nested": [{"a": None, "b": [0.5]}],
            "map": {"k": None},
            "flag": True,
            "none": None,
        }
    ]


def test_a_root_may_be_a_uri(tmp_path):
    lake = Lake(tmp_path.as_uri() + "/lake/")
    for n in range(2):
        assert lake.append("turns", [a_turn(turn_index=2 * n)], writer="w", version=n)
        assert not lake.append("turns", [a_turn()], writer="w", version=n)
    assert lake.scan("turns", purpose="train").collect().height == 2
    asked = lake.sql("select count(*) as n from turns join reward using (user_id)")
    assert asked.to_pylist() == [{"n": 0}]
    assert lake.sql("select turns from conversations").to_pylist() == [{"turns": 2}]
    assert lake.erase([a_turn()["user_id"]]) == {"turns": 2}
    assert Lake(tmp_path / "lake").version("turns") == lake.version("turns")


def assignments(lake: Lake, *, persona: str, users: range):
    for user in users:
        yield to_table(
            "persona_assignments",
            [
                {
                    "tenant": "default",
                    "user_id": str(user),
                    "persona_id": persona,
                    "persona_version": "1",
                    "probability": 1.0,
                    "margin": 1.0,
                }
            ],
        )


def test_a_table_is_replaced_by_rows_made_from_itself(tmp_path):
    lake = Lake(tmp_path)
    lake.replace("persona_assignments", assignments(lake, persona="one", users=range(5)))

    def renamed():
        for batch in lake.batches(lake.scan("persona_assignments"), size=2):
            yield batch.with_columns(persona_id=pl.lit("two")).to_arrow()

    version = lake.version("persona_assignments")
    lake.replace("persona_assignments", renamed(), where="tenant = 'default'")
    rows = lake.scan("persona_assignments").collect()
    assert (rows.height, set(rows["persona_id"])) == (5, {"two"})
    assert lake.version("persona_assignments") == version + 1


def test_rows_that_cannot_be_made_replace_nothing(tmp_path):
    lake = Lake(tmp_path)
    lake.replace("persona_assignments", assignments(lake, persona="one", users=range(3)))

    def broken():
        yield from assignments(lake, persona="two", users=range(9))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        lake.replace("persona_assignments", broken())
    misfits = iter([pa.table({"nonsense": [1]})])
    with pytest.raises(RowError, match="nonsense"):
        lake.replace("persona_assignments", misfits)
    assert set(lake.scan("persona_assignments").collect()["persona_id"]) == {"one"}


def test_files_of_a_version_are_known_until_it_is_gone(tmp_path):
    lake = Lake(tmp_path)
    assert lake.files("turns", version=-1) == frozenset()
    lake.append("turns", [a_turn(turn_index=0)], writer="t")
    first = lake.version("turns")
    seen = lake.files("turns", version=first) or frozenset()
    lake.append("turns", [a_turn(turn_index=2, user_id="b" * 32)], writer="t")
    batches, files = lake.keys("turns", ["user_id"], beyond=seen)
    assert [row for batch in batches for row in batch.rows()] == [("b" * 32,)]
    assert seen < files
    lake.erase(["b" * 32])
    assert lake.files("turns", version=first) is None


def test_a_commit_that_was_lost_where_nobody_is_held_back_is_made_again(tmp_path, monkeypatch):
    lake = Lake(tmp_path.as_uri())
    lake.append("turns", [a_turn()], writer="w", version=0)
    lost = iter([True, True, False])

    def write(*arguments, **settings):
        if not next(lost):
            write_deltalake(*arguments, **settings)

    monkeypatch.setattr(appends, "write_deltalake", write)
    assert lake.append("turns", [a_turn(turn_index=2)], writer="w", version=1)
    monkeypatch.setattr(appends, "write_deltalake", lambda *_, **__: None)
    monkeypatch.setattr(appends, "_PAUSE_S", 0.0)
    with pytest.raises(UnavailableError, match="takes no commit of 'w'"):
        lake.append("turns", [a_turn(turn_index=4)], writer="w", version=2)
    assert lake.scan("turns", purpose="train").collect().height == 2
