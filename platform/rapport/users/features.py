"""Behaviour: every event becomes counts in percentile buckets, so that counts can be decayed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.users.timelines import KINDS

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]

BUCKETS = 5
"""Percentile buckets of a measured value: fifths of the population."""
MEASURES = ("dwell", "rating", "gap")
"""Measured values: seconds read, rating, seconds since the user's previous event of any kind."""
FEATURES = (*KINDS, *(f"{name}_{fifth}" for name in MEASURES for fifth in range(1, BUCKETS + 1)))
"""Names of the F behavioural features, in order: counts by kind, then by bucket."""
HABITS = (*(f"{kind}_rate" for kind in KINDS[1:]), *FEATURES[len(KINDS) :])
"""Names of the H habits: events per message, then shares of the buckets."""
_PRIOR_EVENTS = 3.0
"""Weight of the population in a user's rates and shares, in events."""


@dataclass(frozen=True)
class Cuts:
    """Where the population's fifths of each measured value meet: four ascending points each."""

    dwell: tuple[float, ...]
    rating: tuple[float, ...]
    gap: tuple[float, ...]


def fit_cuts(events: pl.DataFrame) -> Cuts:
    """Cut points of a population's timeline; a value never seen is not cut."""
    return cuts_of(measures(events))


def measures(events: pl.DataFrame) -> dict[str, RealArray]:
    """Values measured in a timeline, by `MEASURES`; of disjoint users they may be put together."""
    found = {
        name: events.filter(pl.col("kind") == name)["value"].cast(pl.Float64).to_numpy()
        for name in MEASURES
    }
    found["gap"] = gaps_s(events)
    return {name: values[np.isfinite(values)] for name, values in found.items()}


def cuts_of(measured: Mapping[str, RealArray]) -> Cuts:
    """Cut points of finite values, by `MEASURES`."""
    fifths = np.arange(1, BUCKETS) / BUCKETS
    return Cuts(
        **{
            name: tuple(np.quantile(values, fifths).tolist()) if len(values) else ()
            for name, values in measured.items()
        }
    )


def gaps_s(events: pl.DataFrame) -> RealArray:
    """Seconds [E] from the user's previous event to each message; NaN for all other events."""
    gap = (pl.col("ts") - pl.col("ts").shift(1).over("user_id")).dt.total_microseconds() / 1e6
    told = events.select(pl.when(pl.col("kind") == "message").then(gap).fill_null(np.nan))
    return told.to_series().cast(pl.Float64).fill_null(np.nan).to_numpy()


def counts(events: pl.DataFrame, cuts: Cuts) -> FloatArray:
    """What each event of a timeline adds to its user's counts: [E, F] of zeros and ones."""
    kinds = events["kind"].to_numpy()
    values = events["value"].to_numpy()
    gaps = gaps_s(events)
    result = np.zeros((len(kinds), len(FEATURES)), np.float32)
    for column, kind in enumerate(KINDS):
        result[kinds == kind, column] = 1.0
    for place, name in enumerate(MEASURES):
        measured = gaps if name == "gap" else np.where(kinds == name, values, np.nan)
        rows = np.flatnonzero(np.isfinite(measured))
        bucket = bucket_of(measured[rows], getattr(cuts, name))
        result[rows, len(KINDS) + place * BUCKETS + bucket] = 1.0
    return result


def bucket_of(values: RealArray, cuts: tuple[float, ...]) -> NDArray[np.int64]:
    """Bucket 0 to 4 of each value: how many cut points it reaches."""
    return np.searchsorted(np.asarray(cuts, np.float64), values, side="right")


def event_counts(kind: str, value: float | None, gap_s: float | None, cuts: Cuts) -> FloatArray:
    """What one event adds to its user's counts [F], as `counts` would say in a timeline."""
    frame = np.zeros(len(FEATURES), np.float32)
    frame[KINDS.index(kind)] = 1.0
    measured = {"gap": gap_s} if kind == "message" else {kind: value}
    for name, number in measured.items():
        if name in MEASURES and number is not None:
            bucket = int(bucket_of(np.array([number]), getattr(cuts, name))[0])
            frame[len(KINDS) + MEASURES.index(name) * BUCKETS + bucket] = 1.0
    return frame


def pooled(features: FloatArray) -> RealArray:
    """The population's counts [F], summed over users' features [N, F] (log1p of counts)."""
    return np.asarray(np.expm1(features.astype(np.float64)).sum(axis=0))


def habits(features: FloatArray, population: RealArray) -> RealArray:
    """How users behave, whatever their number of events: [N, H], see `HABITS`.

    Events per message and shares of the buckets, each drawn to the population's by the weight
    of 3 events, so that who is not known yet looks like everyone.

    Args:
        features: [N, F] log1p of decayed counts.
        population: [F] counts, from `pooled`.
    """
    seen = np.expm1(features.astype(np.float64))
    start = len(KINDS)
    rates = _drawn(seen[:, 1:start], seen[:, :1], population[1:start], population[:1])
    shares = [rates]
    for place in range(len(MEASURES)):
        part = slice(start + place * BUCKETS, start + (place + 1) * BUCKETS)
        own, whole = seen[:, part], population[part]
        shares.append(_drawn(own, own.sum(axis=1, keepdims=True), whole, whole.sum(keepdims=True)))
    return np.hstack(shares)


def _drawn(
    part: RealArray, whole: RealArray, part_all: RealArray, whole_all: RealArray
) -> RealArray:
    usual = part_all / np.maximum(whole_all, 1e-9)
    return np.asarray((part + _PRIOR_EVENTS * usual) / (whole + _PRIOR_EVENTS))
