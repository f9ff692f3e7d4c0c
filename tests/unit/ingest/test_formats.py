from concurrent.futures import ThreadPoolExecutor

import pytest

from rapport.errors import ConfigError, UnknownNameError
from rapport.governance.tenants import TenantPolicy
from rapport.ingest import FORMATS


def test_an_unknown_format_names_those_there_are(bring, tmp_path):
    with pytest.raises(UnknownNameError, match=r"'vw'.*esconv, langfuse, obd, openai-jsonl"):
        bring("vw", tmp_path)
    assert set(FORMATS) > {"esconv", "simulation"}


def test_an_object_store_is_no_place_for_a_format_of_local_files(bring):
    with pytest.raises(ConfigError, match="local files only"):
        bring("esconv", "s3://bucket/esconv")


def test_no_path_and_an_unknown_purpose_are_the_operators_fault(bring, write, a_record):
    path = write("ESConv.json", [a_record(layout="published")])
    with pytest.raises(ConfigError, match="paths"):
        bring("esconv")
    with pytest.raises(ConfigError, match="'ads'"):
        bring("esconv", path, purposes=["ads"])


def test_a_tenant_that_may_use_the_rows_for_nothing_takes_none(bring, write, a_record, lake):
    path = write("ESConv.json", [a_record(layout="published")])
    with pytest.raises(ConfigError, match="'acme'"):
        bring("esconv", path, tenant="acme", policy=TenantPolicy(), purposes=["train"])
    assert lake.tables() == ()


def test_people_of_unknown_age_are_served_and_no_more(bring, write, a_record, lake):
    path = write("ESConv.json", [a_record(layout="published")])
    bring("esconv", path, tenant="acme", policy=TenantPolicy())
    assert lake.scan("turns", purpose="train").collect().is_empty()
    row = lake.scan("turns", purpose="serve").collect().row(0, named=True)
    assert (row["purposes"], dict(row["groups"])["age_band"]) == (["serve"], "unknown")


def test_two_ingests_of_one_file_at_once_bring_each_row_once(bring, write, a_record, rows):
    path = write("ESConv.json", [a_record(n, layout="published") for n in range(4)])
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: bring("esconv", path), range(2)))
    assert len(rows("turns")) == len({row["turn_id"] for row in rows("turns")}) == 28
    assert sum(counts["tables"]["turns"]["kept"] for counts in both) == 28
    assert sum(counts["tables"]["dialogues"]["kept"] for counts in both) == 4


def test_several_paths_are_one_ingest(bring, write, a_record):
    first = write("one.json", [a_record(0, layout="published")])
    second = write("two.json", [a_record(1, layout="published")])
    counts = bring("esconv", first, second, first)
    assert counts["tables"]["dialogues"] == {
        "read": 3,
        "kept": 2,
        "duplicate": 1,
        "quarantined": 0,
    }
