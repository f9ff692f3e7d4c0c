import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.ingest.elements import elements
from rapport.ingest.lines import EMPTY, MAX_BYTES, NOT_UTF8

OPENING = re.compile(r'\{\s*"id"\s*:')
JSON = st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.text()), max_size=4)


def found_in(path):
    return list(elements(path, opening=OPENING))


def ids(path):
    return [e.value["id"] if e.value else e.problem for e in found_in(path)]


@given(records=st.lists(JSON, min_size=1, max_size=5), indent=st.sampled_from([None, 1, 4]))
def test_an_array_gives_its_elements_as_the_json_module_does(tmp_path_factory, records, indent):
    path = tmp_path_factory.mktemp("array") / "a.json"
    path.write_text(json.dumps(records, indent=indent), encoding="utf-8")
    assert [e.value for e in found_in(path)] == records


def test_lines_and_array_hold_the_same_records(write):
    records = [{"id": i} for i in range(3)]
    assert ids(write("a.jsonl", records)) == ids(write("a.json", records)) == [0, 1, 2]


def test_positions_count_lines_or_dialogues_from_one(write):
    records = [{"id": 0}, {"id": 1}]
    assert [e.position for e in found_in(write("a.jsonl", records))] == ["line 1", "line 2"]
    assert [e.position for e in found_in(write("a.json", records))] == ["dialogue 1", "dialogue 2"]


@pytest.mark.parametrize("broken", ['{"id": 1,, "x": 2}', '{"id": "1', "nonsense", '{"id": 1 "x"}'])
def test_a_broken_element_costs_itself_alone(write, broken):
    array = write("a.json", f'[{{"id": 0}},\n{broken},\n{{"id": 2}}, {{"id": 3}}]')
    assert [i for i in ids(array) if isinstance(i, int)] == [0, 2, 3]
    assert len(found_in(array)) == 4
    single = write("a.jsonl", f'{{"id": 0}}\n{broken}\n{{"id": 2}}\n')
    assert ids(single) == [0, "is not JSON", 2]


def test_an_element_that_is_not_utf8_costs_itself_alone(write):
    array = write("a.json", b'[{"id": 0}, {"id": 1, "x": "\xff"}, {"id": 2}]')
    assert ids(array) == [0, NOT_UTF8, 2]


def test_nesting_without_end_is_refused_and_not_a_crash(write):
    deep = '{"id": ' + "[" * 100_000
    assert ids(write("a.json", f'[{deep}, {{"id": 1}}]'))[-1] == 1
    assert ids(write("a.jsonl", f'{deep}\n{{"id": 1}}\n')) == ["is not JSON", 1]


def test_a_number_of_ten_thousand_digits_is_refused_and_not_a_crash(write):
    assert ids(write("a.jsonl", '{"id": ' + "9" * 10_000 + '}\n{"id": 1}\n')) == ["is not JSON", 1]


def test_an_array_that_ends_early_says_so_after_its_elements(write):
    assert ids(write("a.json", '[{"id": 0}, {"id": 1},')) == [
        0,
        1,
        "the file ends before its array does",
    ]
    assert ids(write("b.json", '[{"id": 0}, {"id": 1')) == [0, "is not JSON"]


def test_an_empty_array_holds_nothing_and_an_empty_file_is_a_fault(write):
    assert ids(write("a.json", "[]")) == [EMPTY]
    assert ids(write("b.json", "")) == [EMPTY]


def test_an_element_of_50_mib_is_passed_over_in_bounded_memory(write):
    long = '{"id": 1, "x": "' + "x" * (50 * 2**20) + '"}'
    path = write("a.json", f'[{{"id": 0}}, {long}, {{"id": 2}}]')
    tracemalloc.start()
    found = ids(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found[0], found[2]) == (0, 2)
    assert "longer than 8 MiB" in found[1]
    assert peak < 8 * MAX_BYTES


def test_an_opening_cut_in_two_by_the_window_is_still_met(write):
    filler = "x" * (2 * MAX_BYTES - 30)
    for shift in range(0, 12, 3):
        path = write("a.json", f'[{{"id": 0}}, {{bad {filler}{"y" * shift}, {{"id": 2}}]')
        assert ids(path)[-1] == 2
