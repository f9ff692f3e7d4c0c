"""The sentiment curve, a robustly smoothed course of sentiment, and the boost of a reward."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from rapport.config import Config

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SCALE_CLIP, _SCALE_BOUND = 2.0, 2.52
"""k and c_k of the biweight: with 2.52 the scale of normal errors is their standard deviation."""


class CurveSettings(Config):
    """How the curve follows sentiment."""

    alpha: float = Field(default=0.6, gt=0, le=1)
    """Share of a clipped error that the curve takes over; higher follows faster, smooths less."""
    clip: float = Field(default=1.5, gt=0)
    """Errors count up to so many scales; higher lets one outlier move the curve further."""
    scale_rate: float = Field(default=0.1, ge=0, le=1)
    """Share of the newest error in the running scale."""
    start_scale: float = Field(default=0.4, gt=0, le=1)
    least_scale: float = Field(default=0.1, gt=0, le=1)
    """Floor of the scale, so that a long calm does not deafen the curve."""


CURVE = CurveSettings()


@dataclass(frozen=True)
class CurvePoint:
    """Where a curve stands: its value in [-1, 1], its scale, the sentiments it has seen."""

    value: float = 0.0
    scale: float = CURVE.start_scale
    count: int = 0


def advance(point: CurvePoint, sentiment: float, settings: CurveSettings = CURVE) -> CurvePoint:
    """Take in one sentiment in [-1, 1]; the first one is where the curve starts."""
    value, scale = _next(
        np.array([point.value]),
        np.array([point.scale]),
        fresh=np.array([point.count == 0]),
        sentiment=np.array([float(sentiment)]),
        settings=settings,
    )
    return CurvePoint(float(value[0]), float(scale[0]), point.count + 1)


def curve(sentiments: ArrayLike, settings: CurveSettings = CURVE) -> FloatArray:
    """Smooth T sentiments to S_0..S_T [T + 1], in [-1, 1].

    `S_t = S_{t-1} + alpha * sigma * psi((e_t - S_{t-1}) / sigma)` with psi the Huber clip; S_0 is
    e_1, so that a steady mood gives a flat curve. One sentiment moves the curve by at most
    `alpha * clip * sigma`, and sigma by at most a factor of `sqrt(1 + 1.52 * scale_rate)`.

    Source: Gelper, Fried & Croux, Journal of Forecasting 29, 2010, for cleaning and scale.
    """
    told = np.asarray(sentiments, dtype=np.float64)
    values = curves(told, np.zeros(len(told), dtype=np.int64), settings)
    return np.concatenate([values[:1] if len(told) else np.zeros(1), values])


def curves(sentiments: FloatArray, series: IntArray, settings: CurveSettings = CURVE) -> FloatArray:
    """Value [N] of many curves after each sentiment, all series at once.

    Args:
        sentiments: [N] in time order inside each series; NaN leaves the curve as it is, and is
            returned until the series has its first.
        series: [N] which curve each belongs to; rows of one series lie together.
        settings: How the curves follow.
    """
    starts = np.flatnonzero(np.diff(series, prepend=series[:1] - 1))
    lengths = np.diff(starts, append=len(series))
    value, scale = np.full(len(starts), np.nan), np.full(len(starts), settings.start_scale)
    result = np.full(len(series), np.nan)
    for place in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > place)
        rows = starts[going] + place
        told = ~np.isnan(sentiments[rows])
        here = going[told]
        value[here], scale[here] = _next(
            value[here],
            scale[here],
            fresh=np.isnan(value[here]),
            sentiment=sentiments[rows[told]],
            settings=settings,
        )
        result[rows] = value[going]
    return result


def boost(rewards: ArrayLike, *, n: int = 5) -> FloatArray:
    """Deviation of each of T rewards from the line through the n before it: `r_t - fit_n(t)`.

    The line is extended to t, so the last reply of a falling conversation is not blamed for the
    fall. The first n rewards have no line and stay as they are.

    Args:
        rewards: [T] in time order.
        n: Rewards under the line, >= 3.
    """
    assert n >= 3, "a line through fewer than three points says nothing"
    told = np.asarray(rewards, dtype=np.float64)
    if len(told) <= n:
        return told.copy()
    windows = np.lib.stride_tricks.sliding_window_view(told[:-1], n)
    place = np.arange(n) - (n - 1) / 2
    slope = windows @ place / (place @ place)
    fit = windows.mean(axis=1) + slope * (n + 1) / 2
    return np.concatenate([told[:n], told[n:] - fit])


def _next(
    value: FloatArray,
    scale: FloatArray,
    *,
    fresh: NDArray[np.bool_],
    sentiment: FloatArray,
    settings: CurveSettings,
) -> tuple[FloatArray, FloatArray]:
    error = np.where(fresh, 0.0, sentiment - value)
    bound = settings.clip * scale
    moved = value + settings.alpha * np.clip(error, -bound, bound)
    far = np.minimum(np.abs(error) / scale / _SCALE_CLIP, 1.0)
    biweight = _SCALE_BOUND * (1.0 - (1.0 - far**2) ** 3)
    rate = np.where(fresh, 0.0, settings.scale_rate)
    grown = scale * np.sqrt(rate * biweight + 1.0 - rate)
    return np.where(fresh, sentiment, moved), np.clip(grown, settings.least_scale, 1.0)
