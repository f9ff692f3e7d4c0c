import pyarrow as pa
import pytest

from rapport.errors import ConfigError
from rapport.ingest.mapping import AS_NAMED, FieldMap
from rapport.ingest.sources import sources
from rapport.ingest.tables import Columns, csv_rows, parquet_rows
from tests.unit.ingest.exports import as_parquet

COLUMNS = Columns(("id", "said", "more."), (("id",),))


@pytest.fixture
def csv(write):
    def read(content, mapping=AS_NAMED):
        (file,) = sources([str(write("log.csv", content))], endings=(".csv",))
        return list(csv_rows(file, COLUMNS, mapping))

    return read


@pytest.fixture
def parquet(write):
    def read(data, mapping=AS_NAMED):
        (file,) = sources([str(write("log.parquet", data))], endings=(".parquet",))
        return list(parquet_rows(file, COLUMNS, mapping))

    return read


def test_cells_may_hold_commas_quotes_and_line_ends(csv):
    rows = csv('id,said\n1,"a, ""b""\n\nc"\n2,d\n')
    assert [row.values for row in rows] == [
        {"id": "1", "said": 'a, "b"\n\nc'}, {"id": "2", "said": "d"},
    ]  # fmt: skip
    assert [row.position for row in rows] == ["line 2", "line 5"]


def test_a_quote_left_open_costs_its_own_line_only(csv):
    rows = csv('id,said\n1,a\n2,"open\n3,c\n4,d\n')
    assert [(row.position, row.problem) for row in rows if row.problem] == [
        ("line 3", "is not comma-separated values")
    ]
    assert [row.values["id"] for row in rows if not row.problem] == ["1", "3", "4"]


def test_a_line_with_too_few_or_many_cells_is_refused(csv):
    rows = csv("id,said\n1\n2,b,c\n3,d\n")
    assert [bool(row.problem) for row in rows] == [True, True, False]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_told_by_the_header(delimiter, csv):
    rows = csv(f"id{delimiter}said\n1{delimiter}a, b\n")
    assert rows[0].values == {"id": "1", "said": "a, b"}


def test_bytes_that_are_no_text_are_refused_where_they_stand(csv, parquet):
    rows = csv(b"id,said\n1,\xff\n2,b\n")
    assert [row.problem for row in rows] == ["is not UTF-8", None]
    broken = pa.array([b"\xff", b"b"]).view(pa.string())
    table = pa.table({"id": ["1", "2"], "said": broken})
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    read = parquet(sink.getvalue().to_pybytes())
    assert [row.values["said"] for row in read] == ["\udcff", "b"]


def test_only_known_and_mapped_columns_are_read(parquet):
    data = as_parquet([{"id": 1, "x": {"y": 2}, "more.a": 3, "other": 4}])
    (row,) = parquet(data, FieldMap(names={"said": "x.y"}))
    assert row.record(FieldMap(names={"said": "x.y"}))["said"] == 2
    assert set(row.values) == {"id", "x", "more.a"}


def test_a_column_that_is_missing_is_named_with_those_there_are(csv):
    with pytest.raises(ConfigError, match=r"column is 'id': log.csv has no such.*it has: said"):
        csv("said\na\n")
    with pytest.raises(ConfigError, match=r"--mapping id is 'nr': .*it has: number, said"):
        csv("number,said\n1,a\n", FieldMap(names={"id": "nr"}))


def test_what_is_no_parquet_file_is_refused(parquet):
    with pytest.raises(ConfigError, match="no readable parquet file"):
        parquet(b"id,said\n1,a\n")


def test_times_in_nanoseconds_become_those_that_python_knows(parquet):
    table = pa.table({"id": pa.array([1_772_366_400_000_000_001], pa.timestamp("ns"))})
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    (row,) = parquet(sink.getvalue().to_pybytes())
    assert row.values["id"].year == 2026
