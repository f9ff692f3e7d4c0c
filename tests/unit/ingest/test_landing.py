from concurrent.futures import ThreadPoolExecutor

import polars as pl

from rapport.ingest.landing import WRITER, Landing
from rapport.schema import to_table
from rapport.testing.rows import a_turn


def land(lake, table, rows):
    return Landing(lake).land(table, rows)


def turns(*numbers, **columns):
    return to_table("turns", [a_turn(turn_index=n, **columns) for n in numbers])


def indexes(lake):
    return sorted(lake.scan("turns", purpose="serve").collect()["turn_index"])


def test_rows_that_are_there_already_are_duplicates(lake):
    assert land(lake, "turns", turns(0, 1)).duplicate == 0
    second = land(lake, "turns", turns(1, 2))
    assert (second.fresh["turn_index"].to_list(), second.duplicate) == ([2], 1)
    assert indexes(lake) == [0, 1, 2]


def test_of_rows_with_one_id_the_first_is_kept(lake):
    rows = to_table("turns", [a_turn(text="first"), a_turn(text="second")])
    assert land(lake, "turns", rows).duplicate == 1
    assert lake.scan("turns", purpose="serve").collect()["text"].to_list() == ["first"]


def test_rows_are_known_again_whatever_they_may_be_used_for(lake):
    land(lake, "turns", turns(0, purposes=["train"]))
    land(lake, "turns", turns(1, purposes=["proactive"]))
    assert land(lake, "turns", turns(0, 1, purposes=["serve"])).fresh.height == 0


def test_one_id_in_two_tenants_is_two_rows(lake):
    land(lake, "turns", turns(0))
    assert land(lake, "turns", turns(0, tenant="acme")).fresh.height == 1


def test_nothing_new_makes_no_version(lake):
    land(lake, "turns", turns(0))
    version = lake.version("turns")
    land(lake, "turns", turns(0))
    land(lake, "turns", turns())
    assert lake.version("turns") == version


def test_several_at_once_land_each_row_once(lake):
    with ThreadPoolExecutor(4) as pool:
        landed = list(pool.map(lambda _: land(lake, "turns", turns(*range(40))), range(4)))
    assert indexes(lake) == list(range(40))
    assert sum(one.fresh.height for one in landed) == 40
    assert sum(one.duplicate for one in landed) == 120


def test_chunks_of_one_ingest_know_each_other_and_what_others_wrote_meanwhile(lake):
    landing = Landing(lake)
    assert landing.land("turns", turns(0, 1)).duplicate == 0
    land(lake, "turns", turns(2))
    third = landing.land("turns", turns(1, 2, 3))
    assert (third.fresh["turn_index"].to_list(), third.duplicate) == ([3], 2)
    lake.compact("turns")
    assert landing.land("turns", turns(0, 1, 2, 3, 4)).fresh["turn_index"].to_list() == [4]
    assert indexes(lake) == [0, 1, 2, 3, 4]


def test_two_writers_with_overlapping_rows_lose_none(lake):
    parts = [range(i, i + 20) for i in range(0, 40, 10)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: land(lake, "turns", turns(*part)), parts))
    assert indexes(lake) == list(range(50))
    assert lake.written("turns", writer=WRITER) <= 3


def test_refused_rows_without_a_field_are_known_again(lake):
    row = {
        "tenant": "default",
        "ts": a_turn()["ts"],
        "source": "esconv",
        "position": "a line 1",
        "reason": "is not JSON",
    }
    later = {**row, "ts": row["ts"].replace(year=2027)}
    assert land(lake, "quarantine", to_table("quarantine", [row])).fresh.height == 1
    assert land(lake, "quarantine", to_table("quarantine", [later])).duplicate == 1
    assert isinstance(lake.scan("quarantine").collect(), pl.DataFrame)
