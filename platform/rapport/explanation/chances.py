"""How scores became probabilities: the power product, the temperature, the floor."""

from dataclasses import dataclass, replace

import numpy as np

from rapport.policy.behaviour import Behaviour
from rapport.policy.features import BoolArray, FloatArray

EXACT = 1e-9
"""Largest difference between logged and replayed probabilities that rounding may make."""


@dataclass(frozen=True)
class Chances:
    """k free candidates of one decision; every array is [k]."""

    score: FloatArray
    """`nlp^a * rec^b`."""
    share: FloatArray
    """What the score alone gives, sums to 1."""
    floor: FloatArray
    """What exploration adds; probability = (1 - epsilon) * share + floor."""
    replayed: FloatArray
    allowed: bool | None
    """Whether chance was allowed; none where neither way gives what was logged."""
    error: float
    """Largest difference between `replayed` and what was logged."""


def chances(
    behaviour: Behaviour,
    nlp: FloatArray,
    rec: FloatArray,
    *,
    safe: BoolArray,
    logged: FloatArray,
) -> Chances:
    """Give the logged probabilities of k candidates again, step by step.

    The log does not say whether chance was allowed (it is not in distress, nor for a protected
    user), so both ways are tried.

    Args:
        behaviour: Of the policy that decided.
        nlp: [k] as logged.
        rec: [k] as logged.
        safe: [k] candidates that chance alone may take.
        logged: [k] probabilities as logged.
    """
    tries = [
        probabilities(behaviour, nlp, rec, safe=safe, allowed=allowed) for allowed in (True, False)
    ]
    errors = [float(np.abs(found - logged).max()) for found in tries]
    best = int(np.argmin(errors))
    allowed = best == 0
    chance = allowed and safe.any()
    bare = replace(behaviour, epsilon=0.0)
    return Chances(
        score=np.exp(behaviour.log_score(nlp, rec)),
        share=probabilities(bare, nlp, rec, safe=safe, allowed=allowed),
        floor=behaviour.epsilon * safe / safe.sum() if chance else np.zeros(len(nlp)),
        replayed=tries[best],
        allowed=allowed if errors[best] <= EXACT else None,
        error=errors[best],
    )


def probabilities(
    behaviour: Behaviour, nlp: FloatArray, rec: FloatArray, *, safe: BoolArray, allowed: bool
) -> FloatArray:
    """[k] probabilities of k free candidates, as serving gives them."""
    found = behaviour.probabilities(
        nlp[None],
        rec[None],
        mask=np.ones((1, len(nlp)), dtype=bool),
        safe=safe[None],
        explore=np.array([allowed]),
    )
    return np.asarray(found[0])
