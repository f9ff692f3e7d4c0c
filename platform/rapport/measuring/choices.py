"""Labels that a scorer chose, against the right ones and beside a peer, drawn by group."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport.affect.choice import accuracy, macro_f1
from rapport.affect.held_out import HeldOut
from rapport.affect.preference import preference_bias
from rapport.measuring.agreement import measured
from rapport.measuring.result import Measure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NONE = -1
_BINS = 10


@dataclass(frozen=True)
class Choices:
    """N rows on one scale of K labels."""

    groups: IntArray
    """[N] from 0: posts or dialogues, which an interval draws whole."""
    truth: IntArray
    chosen: IntArray
    peer: IntArray
    """[N] what TF-IDF and logistic regression chose; -1 where they were not fitted."""
    probability: FloatArray
    """[N, K] of the scorer."""


def values(choices: Choices, drawn: FloatArray, *, biased: bool) -> dict[str, FloatArray]:
    """Statistics [R] by name under R weightings of the G groups, [R, G].

    `accuracy` and `macro_f1`, where `biased` also `preference_bias`; the same with `_tfidf` for
    the peer, and `_minus_tfidf` for how much more the scorer has, on the rows that both chose for.
    """
    mine = _tables(choices, choices.chosen, drawn)
    found = _statistics(mine, biased=biased)
    both = choices.peer != NONE
    if not both.any():
        return found
    peer = _statistics(_tables(choices, choices.peer, drawn), biased=biased)
    same = (
        found
        if both.all()
        else _statistics(
            _tables(choices, np.where(both, choices.chosen, NONE), drawn), biased=biased
        )
    )
    found |= {f"{name}_tfidf": value for name, value in peer.items()}
    compared = ("accuracy", "macro_f1")
    return found | {f"{name}_minus_tfidf": same[name] - peer[name] for name in compared}


def measures(found: Mapping[str, FloatArray], choices: Choices) -> dict[str, Measure]:
    """Statistics [1 + R] as estimates with intervals, and how far confidence is from accuracy."""
    n = len(choices.truth)
    told = {name: measured(value, n) for name, value in found.items()}
    error = calibration_error(choices.probability, choices.truth)
    return {**told, "calibration_error": Measure(error, None, None, n)}


def calibration_error(probability: FloatArray, truth: IntArray) -> float:
    """How far the probability [N, K] of the likeliest label is from the share that are right."""
    return binned_error(probability.max(axis=1), probability.argmax(axis=1) == truth)


def binned_error(confidence: FloatArray, right: NDArray[np.bool_]) -> float:
    """Mean distance of confidence [N] and the share that is right, over ten bins of equal size.

    Source: Guo et al., ICML 2017 (arXiv:1706.04599), with bins of as many rows each.
    """
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    gaps = [len(part) * abs(confidence[part].mean() - right[part].mean()) for part in bins]
    return float(sum(gaps) / max(len(right), 1))


@dataclass(frozen=True)
class Known:
    """What was held out, for rows looked up by their hash."""

    place: IntArray
    """[N] row in what was held out, -1 where the scorer was not trained on it."""
    held: HeldOut

    @classmethod
    def of(cls, rows: NDArray[np.uint64], held: HeldOut) -> "Known":
        """Look rows up."""
        order = np.argsort(held.rows, kind="stable")
        near = np.searchsorted(held.rows[order], rows).clip(max=len(order) - 1)
        found = order[near]
        return cls(np.where(held.rows[found] == rows, found, NONE), held)

    @property
    def there(self) -> NDArray[np.bool_]:
        """[N] whether the scorer was trained on it."""
        return np.asarray(self.place != NONE)


def _statistics(tables: FloatArray, *, biased: bool) -> dict[str, FloatArray]:
    found = {"accuracy": accuracy(tables), "macro_f1": macro_f1(tables)}
    return {**found, "preference_bias": preference_bias(tables)} if biased else found


def _tables(choices: Choices, chosen: IntArray, drawn: FloatArray) -> FloatArray:
    """Confusion tables [R, K, K]; rows without a choice are left out."""
    kinds = choices.probability.shape[1]
    cells = np.zeros((drawn.shape[1], kinds * kinds))
    given = chosen != NONE
    cell = chosen[given] * kinds + choices.truth[given]
    np.add.at(cells, (choices.groups[given], cell), 1.0)
    return np.asarray((drawn @ cells).reshape(-1, kinds, kinds))
