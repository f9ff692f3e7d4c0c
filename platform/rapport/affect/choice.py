"""Which label to take, given probabilities: the likeliest after part of the prior is taken off.

Where some labels are rare, the likeliest is nearly always a frequent one. Dividing by a power of
the prior chooses rare ones more often; the power is one number, which training data settle.

Source: Menon et al., ICLR 2021 (arXiv:2007.07314).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rapport.affect.preference import confusion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_SHARES = np.arange(0.0, 1.21, 0.05)
_SMOOTHED = 5
"""Neighbouring shares whose worth is averaged: a single peak is mostly chance."""


def macro_f1(tables: FloatArray) -> FloatArray:
    """Mean F1 [...] over the labels of confusion tables [..., K, K]."""
    hits = tables.diagonal(axis1=-2, axis2=-1)
    size = tables.sum(axis=-1) + tables.sum(axis=-2)
    return np.asarray((2 * hits / np.maximum(size, 1)).mean(axis=-1))


def accuracy(tables: FloatArray) -> FloatArray:
    """Share [...] of right choices in confusion tables [..., K, K]."""
    return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / np.maximum(tables.sum((-2, -1)), 1))


def prior_shift(
    logs: FloatArray, truth: IntArray, *, worth: Callable[[FloatArray], FloatArray] = macro_f1
) -> FloatArray:
    """What to take off log probabilities [N, K] before the largest is chosen: [K].

    It is the share of the log prior, from 0 to 1.2, whose choices are worth most on these rows.

    Args:
        logs: Log probabilities of rows that the weights had not seen.
        truth: [N] labels.
        worth: Of confusion tables [T, K, K], chosen by right: [T].
    """
    kinds = logs.shape[1]
    prior = np.log((np.bincount(truth, minlength=kinds) + 0.5) / (len(truth) + 0.5 * kinds))
    chosen = [(logs - share * prior).argmax(axis=1) for share in _SHARES]
    value = worth(np.stack([confusion(one, truth, kinds=kinds) for one in chosen]))
    around = np.pad(value, _SMOOTHED // 2, mode="edge")
    smooth = np.convolve(around, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="valid")
    return np.asarray(_SHARES[smooth.argmax()] * prior)
