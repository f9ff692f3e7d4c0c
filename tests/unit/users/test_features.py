import datetime as dt

import numpy as np
import polars as pl
import pytest

from rapport.users.features import (
    FEATURES,
    HABITS,
    Cuts,
    bucket_of,
    counts,
    event_counts,
    fit_cuts,
    gaps_s,
    habits,
    pooled,
)
from tests.unit.users.timelines import START, a_timeline


def test_cuts_are_the_fifths_of_the_population():
    events = pl.DataFrame(
        {
            "user_id": ["a"] * 101,
            "ts": [START + dt.timedelta(hours=hour) for hour in range(101)],
            "kind": ["dwell"] * 101,
            "value": [float(value) for value in range(101)],
        }
    )
    cuts = fit_cuts(events)
    assert cuts.dwell == pytest.approx((20.0, 40.0, 60.0, 80.0))
    assert cuts.rating == ()


def test_each_event_counts_once_for_its_kind_and_once_for_its_bucket():
    cuts = Cuts(
        dwell=(1.0, 2.0, 3.0, 4.0), rating=(2.0, 3.0, 4.0, 5.0), gap=(10.0, 20.0, 30.0, 40.0)
    )
    events = pl.DataFrame(
        {
            "user_id": ["a"] * 4,
            "ts": [START + dt.timedelta(seconds=at) for at in (0, 25, 26, 27)],
            "kind": ["message", "message", "dwell", "rating"],
            "value": [None, None, 3.5, 5.0],
        }
    )
    seen = counts(events, cuts)
    names = [{FEATURES[i] for i in np.flatnonzero(row)} for row in seen]
    assert names == [
        {"message"},
        {"message", "gap_3"},
        {"dwell", "dwell_4"},
        {"rating", "rating_5"},
    ]


def test_one_event_alone_counts_as_it_does_in_a_timeline():
    events, _, _ = a_timeline(users=3, events=30)
    cuts = fit_cuts(events)
    gap = (pl.col("ts") - pl.col("ts").shift(1).over("user_id")).dt.total_microseconds() / 1e6
    rows = events.with_columns(gap=gap).iter_rows(named=True)
    alone = [event_counts(row["kind"], row["value"], row["gap"], cuts) for row in rows]
    np.testing.assert_array_equal(np.array(alone), counts(events, cuts))


def test_gaps_are_known_for_messages_that_follow_an_event():
    events, _, _ = a_timeline(users=2, events=10)
    first = (events["user_id"] != events["user_id"].shift(1)).fill_null(value=True).to_numpy()
    message = (events["kind"] == "message").to_numpy()
    np.testing.assert_array_equal(np.isfinite(gaps_s(events)), message & ~first)


def test_a_value_on_a_cut_belongs_to_the_upper_bucket():
    assert bucket_of(np.array([0.0, 1.0, 9.0]), (1.0, 2.0, 3.0, 4.0)).tolist() == [0, 1, 4]


def test_who_did_nothing_yet_has_the_habits_of_everybody():
    rng = np.random.default_rng(0)
    features = np.log1p(rng.integers(0, 20, (50, len(FEATURES)))).astype(np.float32)
    population = pooled(features)
    nobody = habits(np.zeros((1, len(FEATURES)), np.float32), population)[0]
    assert nobody.shape == (len(HABITS),)
    clicks = population[FEATURES.index("click")] / population[FEATURES.index("message")]
    assert nobody[HABITS.index("click_rate")] == pytest.approx(clicks)
    assert nobody[HABITS.index("dwell_1") : HABITS.index("dwell_5") + 1].sum() == pytest.approx(1.0)


def test_habits_do_not_depend_on_how_much_somebody_did_once_it_is_much():
    once = np.zeros(len(FEATURES))
    once[[FEATURES.index(name) for name in ("message", "click", "dwell", "dwell_5")]] = 4, 2, 4, 4
    features = np.log1p(np.stack([1000 * once, 3000 * once, once * 0 + 50])).astype(np.float32)
    seen = habits(features, pooled(features))
    assert seen[0] == pytest.approx(seen[1], abs=1e-2)
    assert seen[0][HABITS.index("click_rate")] == pytest.approx(0.5, abs=1e-2)
