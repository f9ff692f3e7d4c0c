"""Persona ids across refits: a new group takes the name of the old one that holds its people."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rapport.personas.model import PersonaModel
from rapport.personas.names import new_names

RealArray = NDArray[np.float64]

SAME = 0.3
"""Least overlap (Jaccard) of a group with the one whose name it takes; two random groupings into
four overlap by .14, each half of a group that split by .5."""


def match(
    old: PersonaModel,
    new: PersonaModel,
    *,
    means: NDArray[np.floating],
    n: NDArray[np.floating],
    seed: int,
) -> PersonaModel:
    """The new personas under the old names where they hold the same people.

    Both models assign the same users, so no stored assignment is needed. Groups without a
    counterpart get a fresh name, never one of the old model's.

    Args:
        old: Model of the last fit, on vectors of the same text encoder.
        new: Model whose names are to be settled.
        means: [U, D] mean turn vectors of users.
        n: [U] turns in them.
        seed: Of fresh names.

    Source: the assignment of largest total overlap (Kuhn 1955).
    """
    shared = overlap(old.posterior(means, n), new.posterior(means, n))
    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    kept = {int(j): old.names[i] for i, j in pairs if shared[i, j] >= SAME}
    fresh = iter(new_names(len(new.names) - len(kept), seed=seed, taken=old.names))
    return new.renamed([kept.get(j) or next(fresh) for j in range(len(new.names))])


def overlap(one: RealArray, other: RealArray) -> RealArray:
    """Expected Jaccard overlap [K, L] of two soft groupings [U, K] and [U, L] of the same users."""
    both = one.T @ other
    either = one.sum(axis=0)[:, None] + other.sum(axis=0) - both
    return np.asarray(both / np.maximum(either, 1e-12))
