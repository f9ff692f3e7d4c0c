import datetime as dt
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.errors import RowError, UnknownNameError
from rapport.schema import to_table
from rapport.store.records import decoded, records
from rapport.testing import a_decision, a_turn, some_feedback

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def there_and_back(table, row):
    (record,) = records([(table, row)])
    return decoded(table, record.payload)


def bits(number):
    return struct.pack("<d", number)


@settings(deadline=None)
@given(FINITE, st.text(), st.dictionaries(st.text(), FINITE))
def test_numbers_texts_and_maps_come_back_exactly(number, text, features):
    row = some_feedback(value=number, text=text)
    back = there_and_back("feedback", row)
    assert bits(back["value"]) == bits(number)
    assert back["text"] == text
    decision = there_and_back("decisions", a_decision(features=features))
    assert {k: bits(v) for k, v in decision["features"].items()} == {
        k: bits(v) for k, v in features.items()
    }


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_a_decisions_probabilities_and_propensity_are_the_very_numbers_that_were_sampled(weights):
    shares = [weight / sum(weights) for weight in weights]
    arms = [f"arm-{n}" for n in range(len(shares))]
    back = there_and_back("decisions", a_decision(arms=arms, probabilities=shares))
    assert [c["probability"] for c in back["candidates"]] == shares
    assert back["propensity"] == shares[0]


def test_not_a_number_is_kept():
    assert math.isnan(there_and_back("feedback", some_feedback(value=math.nan))["value"])


def test_a_row_read_back_makes_the_same_lake_row():
    row = a_decision(
        context_embedding=np.array([0.1, 1 / 3], np.float32),
        persona_margin=np.float64(0.1) * 3,
        groups={"age_band": "adult"},
        rng_seed=np.int64(2**60 + 1),
    )
    back = there_and_back("decisions", row)
    assert to_table("decisions", [back]).equals(to_table("decisions", [row]))
    assert set(back) == set(to_table("decisions", [row]).column_names)


def test_times_come_back_in_utc_to_the_microsecond():
    zone = dt.timezone(dt.timedelta(hours=-7))
    moment = dt.datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=zone)
    back = there_and_back("turns", a_turn(ts=moment))
    assert back["ts"] == moment
    assert back["ts"].utcoffset() == dt.timedelta(0)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(RowError) as caught:
        records([("turns", {**a_turn(), "ts": dt.datetime(2026, 1, 1)})])  # noqa: DTZ001
    assert caught.value.field == "turns.ts"


def test_a_wrong_row_is_refused_without_quoting_it():
    with pytest.raises(RowError) as caught:
        records([("turns", {**a_turn(text="my private trouble"), "turn_index": "private"})])
    assert caught.value.field == "turns.turn_index"
    assert "private" not in str(caught.value)


def test_tables_that_only_batch_jobs_write_are_refused():
    with pytest.raises(UnknownNameError, match="decisions, feedback, turns, users"):
        records([("rewards", {})])
