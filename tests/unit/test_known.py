import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.known import KnownKeys


def frame(numbers) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"key-{n}" for n in numbers]}, schema={"id": pl.String})


@settings(max_examples=40, deadline=None)
@given(
    chunks=st.lists(st.lists(st.integers(0, 60), max_size=20), max_size=12),
    held=st.integers(1, 30),
)
def test_a_key_is_known_exactly_when_it_was_added(chunks, held):
    known, added = KnownKeys(held=held), set()
    for chunk in chunks:
        known.add(frame(chunk))
        added.update(chunk)
    assert known.holds(frame(range(61))).tolist() == [n in added for n in range(61)]


def test_runs_stay_few_and_those_beyond_memory_lie_in_files():
    known = KnownKeys(held=64)
    for start in range(0, 640, 10):
        known.add(frame(range(start, start + 10)))
    assert len(known) == 640
    sizes = [run.shape[1] for run in known._runs]
    assert len(sizes) < 14
    assert all(isinstance(run, np.memmap) for run in known._runs if run.shape[1] >= 64)
    assert known.holds(frame(range(640))).all()


def test_nulls_and_times_are_part_of_a_key():
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    keys = pl.DataFrame({"a": ["x", None], "ts": [moment, moment]})
    known = KnownKeys()
    known.add(keys)
    other = keys.with_columns(pl.col("ts") + dt.timedelta(seconds=1))
    assert known.holds(keys).tolist() == [True, True]
    assert known.holds(other).tolist() == [False, False]
