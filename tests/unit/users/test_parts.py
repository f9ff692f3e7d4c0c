import polars as pl

from rapport.users.parts import Parts


def batches(count: int = 6, size: int = 50):
    for number in range(count):
        users = [f"user-{(number * size + n) % 37}" for n in range(size)]
        yield pl.DataFrame({"user_id": users, "row": range(number * size, (number + 1) * size)})


def test_each_user_lies_whole_in_one_part_and_in_order(tmp_path):
    with Parts(300, held=40, scratch=tmp_path) as parts:
        parts.write("rows", batches())
        found = [frame for (frame,) in parts.items("rows")]
        assert parts.count == len(found) == 8
    assert sorted(row for frame in found for row in frame["row"]) == list(range(300))
    owners = [set(frame["user_id"]) for frame in found]
    assert sum(map(len, owners)) == 37
    assert all(frame["row"].is_sorted() for frame in found)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_dealt_alike_and_a_part_may_be_empty(tmp_path):
    with Parts(300, held=3, scratch=tmp_path) as parts:
        parts.write("one", batches())
        parts.write("other", batches(count=1))
        for one, other in parts.items("one", "other"):
            assert set(other["user_id"]) <= set(one["user_id"])
            assert other.schema == one.schema
        assert any(one.is_empty() for (one,) in parts.items("one"))


def test_more_parts_than_files_that_may_be_open(tmp_path):
    with Parts(3000, held=1, scratch=tmp_path) as parts:
        parts.write("rows", batches(count=2))
        assert sum(frame.height for (frame,) in parts.items("rows")) == 100
