"""The same log twice, renamed, split in two, packed: in no format is a row there twice."""

import pytest

from rapport.ingest import FORMATS
from tests.unit.ingest.exports import LOGS

TABLES = ("turns", "decisions", "feedback", "users")
RECORDS = 24
FORMAT = pytest.mark.parametrize("name", sorted(LOGS))


@pytest.fixture
def contents(lake):
    """Rows of every table without those that only say when something was refused."""

    def contents():
        found = {}
        for table in TABLES:
            purpose = None if table == "users" else "train"
            rows = lake.scan(table, purpose=purpose).collect().to_dicts()
            found[table] = sorted(repr(row) for row in rows)
        return found

    return contents


def log_of(name, numbers):
    build, dump, ending = LOGS[name]
    return dump([build(n) for n in numbers]), ending


def test_every_format_but_the_two_with_names_of_their_own_is_tried():
    assert set(LOGS) == set(FORMATS) - {"simulation", "esconv"}


@FORMAT
def test_a_log_ingested_twice_is_there_once(name, write, bring, contents):
    data, ending = log_of(name, range(RECORDS))
    path = write(f"log{ending}", data)
    first = bring(name, path)
    before = contents()
    second = bring(name, path)
    assert contents() == before
    assert sum(len(rows) for rows in before.values()) > RECORDS - 1
    assert all(tally["kept"] == 0 for tally in second["tables"].values())
    kept = {table: tally["kept"] for table, tally in first["tables"].items()}
    assert kept == {table: tally["duplicate"] for table, tally in second["tables"].items()}


@FORMAT
def test_a_renamed_log_brings_nothing_new(name, write, bring, contents):
    data, ending = log_of(name, range(RECORDS))
    bring(name, write(f"log{ending}", data))
    before = contents()
    renamed = bring(name, write(f"elsewhere/other{ending}", data))
    assert contents() == before
    assert all(tally["kept"] == 0 for tally in renamed["tables"].values())


@FORMAT
@pytest.mark.parametrize("cut", [8, 10], ids=["between conversations", "amid a conversation"])
def test_a_log_split_in_two_gives_the_rows_of_the_whole(name, cut, write, bring, contents):
    whole, ending = log_of(name, range(RECORDS))
    halves = [
        write(f"part {n}{ending}", log_of(name, numbers)[0])
        for n, numbers in enumerate([range(cut), range(cut, RECORDS)])
    ]
    for half in halves:
        bring(name, half)
    parts = contents()
    again = bring(name, write(f"log{ending}", whole))
    assert contents() == parts
    assert all(tally["kept"] == 0 for tally in again["tables"].values())


@FORMAT
@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_log_beside_the_plain_one_brings_nothing_new(
    name, packing, write, bring, contents
):
    data, ending = log_of(name, range(RECORDS))
    write(f"log{ending}", data)
    packed = write(f"log{ending}{packing}", data)
    counts = bring(name, packed.parent)
    before = contents()
    alone = bring(name, packed)
    assert contents() == before
    assert all(tally["kept"] == 0 for tally in alone["tables"].values())
    table = next(iter(alone["tables"]))
    assert counts["tables"][table]["kept"] == counts["tables"][table]["duplicate"]


@FORMAT
def test_a_damaged_packed_log_is_refused_and_keeps_what_came_before(name, write, bring, rows):
    data, ending = log_of(name, range(RECORDS))
    whole = write(f"whole{ending}.gz", data).read_bytes()
    path = write(f"cut{ending}", b"")
    cut = path.with_name(f"cut{ending}.gz")
    cut.write_bytes(whole[: len(whole) // 2])
    if ending == ".parquet":
        with pytest.raises(Exception, match="damaged"):
            bring(name, cut)
        return
    assert bring(name, cut)["reasons"] == {"the compressed file is damaged from here on": 1}
