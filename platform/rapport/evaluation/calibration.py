"""Does a probability keep its word: predicted against observed shares, in bins of equal size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Some predictions near each other, and what came of them."""

    predicted: float
    """Their mean, in [0, 1]."""
    observed: float
    """Share of them that came true, in [0, 1]."""
    n: int


def calibration(
    predicted: FloatArray, observed: FloatArray, *, weight: FloatArray | None = None
) -> tuple[Bin, ...]:
    """Compare predictions with outcomes, lowest predictions first.

    Args:
        predicted: [N] in [0, 1].
        observed: [N] 1 where it came true, else 0.
        weight: [N] >= 0, how much each counts; absent, all the same.

    Returns:
        At most 10 bins of equal count; ties are not parted, so there may be fewer.

    Source: Niculescu-Mizil & Caruana, ICML 2005 (reliability diagrams), with bins by quantile.
    """
    weight = np.ones(len(predicted)) if weight is None else weight
    kept = weight > 0
    predicted, observed, weight = predicted[kept], observed[kept], weight[kept]
    if not len(predicted):
        return ()
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)))
    place = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, max(len(edges) - 2, 0))
    return tuple(
        Bin(
            predicted=float(np.average(predicted[inside], weights=weight[inside])),
            observed=float(np.average(observed[inside], weights=weight[inside])),
            n=int(inside.sum()),
        )
        for inside in (place == index for index in np.unique(place))
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of observed from predicted, each bin by its size; nan without a bin.

    Source: Guo et al., ICML 2017 (expected calibration error).
    """
    total = sum(each.n for each in bins)
    if not total:
        return float("nan")
    return sum(each.n * abs(each.observed - each.predicted) for each in bins) / total
