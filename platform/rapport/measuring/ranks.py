"""Rank statistics of two columns, with their intervals over rows."""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from rapport.measuring.result import Measure

FloatArray = NDArray[np.float64]
RESAMPLES, SEED = 1000, 0


def spearman(value: FloatArray, outcome: FloatArray) -> float:
    """Rank correlation of two columns [N], ties at their mean rank; nan where one is constant."""
    ranks = rankdata(value), rankdata(outcome)
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def auc(value: FloatArray, failed: FloatArray) -> float:
    """Chance that one that did not fail ranks above one that did, ties half; nan without both."""
    bad = failed > 0
    good_n, bad_n = int((~bad).sum()), int(bad.sum())
    if not good_n or not bad_n:
        return float("nan")
    above = rankdata(value)[~bad].sum() - good_n * (good_n + 1) / 2
    return float(above / (good_n * bad_n))


def measured(
    statistic: Callable[[FloatArray, FloatArray], float], rows: pl.DataFrame
) -> Measure | None:
    """A statistic of two columns with its interval; none where it is not defined."""
    value, outcome = rows.cast(pl.Float64).to_numpy().T
    estimate = statistic(value, outcome)
    if np.isnan(estimate):
        return None
    drawn = [statistic(value[take], outcome[take]) for take in resamples(len(value))]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measure(estimate, float(low), float(high), len(value))


def resamples(n: int, times: int = RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Rows [n] drawn with replacement so many times, always the same."""
    generator = np.random.default_rng(SEED)
    for _ in range(times):
        yield generator.integers(n, size=n)
