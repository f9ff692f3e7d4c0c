"""Where to cut weights: chosen from the log, as far as its noise lets one tell.

Cutting lower makes an estimate steadier and more biased. Neither error is known, but the order is:
go lower as long as the estimate stays where all surer-to-be-right ones, with their noise, allow.
"""

from collections.abc import Callable, Sequence

import numpy as np

from rapport.errors import DataError
from rapport.evaluation.concentration import student_quantile, student_t
from rapport.evaluation.estimators import UNCLIPPED, Crossing
from rapport.evaluation.intervals import FloatArray, Terms

_SLACK = float(np.sqrt(6.0)) - 1.0
_STEPS = 8
_STRICT = 0.05


def slope(several: Sequence[Terms], *, delta: float = _STRICT) -> int:
    """Index of the estimate with the least error that the others do not contradict.

    Ordered by width, widest (least biased) first, the last one is taken for which
    `|v_i - v_j| <= c_i + (sqrt(6) - 1) c_j` holds against every j before it, c being the
    one-sided Student bound over users.

    Args:
        several: The same estimator at several cuts.
        delta: Chance of each bound to fail; lower is more willing to cut.

    Raises:
        DataError: There is nothing to choose from.
        TooLittleDataError: Fewer than two users.

    Source: Su, Srinath & Krishnamurthy, ICML 2020 (arXiv:2002.07729); ordered by width as in
    Tucker & Lee, 2021.
    """
    if not several:
        raise DataError("no estimate to choose from", "give at least one cut")
    found = [student_t(terms) for terms in several]
    factor = student_quantile(found[0].users, 1.0 - delta)
    value = np.array([each.value for each in found])
    half = factor * np.array([each.stderr for each in found])
    order = np.argsort(-half, kind="stable")
    for place, i in enumerate(order):
        before = order[:place]
        if (np.abs(value[before] - value[i]) > half[i] + _SLACK * half[before]).any():
            return int(order[place - 1])
    return int(order[-1])


def chosen_clip(crossing: Crossing, cuts: Sequence[float] | None = None) -> float:
    """Largest weight to keep for `Crossing.ips`; of `cuts`, or of `cuts_of` the weights."""
    return _chosen(crossing, cuts, lambda cut: crossing.ips(clip=cut))


def chosen_threshold(crossing: Crossing, cuts: Sequence[float] | None = None) -> float:
    """Weight from which `Crossing.switch_dr` trusts the model; of `cuts`, or of `cuts_of`."""
    return _chosen(crossing, cuts, lambda cut: crossing.switch_dr(threshold=cut))


def cuts_of(weight: FloatArray) -> list[float]:
    """At most 8 cuts: none, and then even ratios down from the largest weight to 1."""
    top = float(weight.max(initial=1.0))
    if top <= 1.0:
        return [UNCLIPPED]
    return [UNCLIPPED, *np.geomspace(top, 1.0, _STEPS)[1:].tolist()]


def _chosen(
    crossing: Crossing, cuts: Sequence[float] | None, terms: Callable[[float], Terms]
) -> float:
    cuts = cuts_of(crossing.weight) if cuts is None else cuts
    return cuts[slope([terms(cut) for cut in cuts])]
