import gzip
import tracemalloc

import pytest

from rapport.errors import ConfigError
from rapport.ingest.lines import DAMAGED, EMPTY, MAX_BYTES, NOT_UTF8, TOO_LONG, first_byte, lines


def test_lines_come_with_their_numbers_and_without_blank_ones(write):
    path = write("a.jsonl", "one\r\n\ntwo\n  \nthree")
    assert [(line.number, line.text) for line in lines(path)] == [
        (1, "one"),
        (3, "two"),
        (5, "three"),
    ]


def test_a_packed_file_reads_like_a_plain_one_whatever_its_name(write):
    plain, packed = write("a.jsonl", "x\ny\n"), write("b.gz", "x\ny\n")
    assert list(lines(plain)) == list(lines(packed.rename(packed.with_suffix(".txt"))))


def test_a_byte_order_mark_is_no_text(write):
    path = write("a.jsonl", b"\xef\xbb\xbf{}\n")
    assert [line.text for line in lines(path)] == ["{}"]
    assert first_byte(path) == b"{"


def test_a_line_that_is_not_utf8_is_named_and_the_next_one_read(write):
    found = list(lines(write("a.jsonl", b"good\nb\xe4d\ngood\n")))
    assert [line.problem for line in found] == [None, NOT_UTF8, None]
    assert found[1].number == 2


def test_an_empty_file_says_so(write):
    assert [line.problem for line in lines(write("a.jsonl", b""))] == [EMPTY]
    assert [line.problem for line in lines(write("b.jsonl.gz", b""))] == [EMPTY]


@pytest.mark.parametrize("name", ["long.jsonl", "long.jsonl.gz"])
def test_a_line_of_50_mib_is_passed_over_in_bounded_memory(write, name):
    path = write(name, b"first\n" + b"x" * (50 * 2**20) + b"\nlast\n")
    tracemalloc.start()
    found = list(lines(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(line.number, line.problem) for line in found] == [(1, None), (2, TOO_LONG), (3, None)]
    assert found[2].text == "last"
    assert len(found[1].text) < 10_000
    assert peak < 4 * MAX_BYTES


def test_a_line_of_exactly_the_limit_is_read(write):
    path = write("a.jsonl", b"x" * (MAX_BYTES - 1) + b"\n" + b"y" * MAX_BYTES)
    assert [line.problem for line in lines(path)] == [None, None]


def test_a_damaged_archive_gives_what_came_before_the_damage(tmp_path):
    packed = gzip.compress(b"".join(b"line %d\n" % i for i in range(20_000)))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    found = list(lines(path))
    assert found[0].text == "line 0"
    assert [line.problem for line in found if line.problem] == [DAMAGED]
    assert first_byte(path) == b"l"


def test_a_file_that_only_claims_to_be_packed_is_damaged_from_its_first_line(write):
    path = write("a.jsonl", b"\x1f\x8bnothing of the kind")
    assert [(line.number, line.problem) for line in lines(path)] == [(1, DAMAGED)]
    assert first_byte(path) == b""


def test_a_missing_file_names_itself_and_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl.*FileNotFoundError"):
        list(lines(tmp_path / "nowhere.jsonl"))
