"""May replies of another generator speak for the candidate's?

Marginalised over arms they may, as long as a reply acts on the reward through its arm alone. Where
the log holds replies of both, that can be seen: weighted to the candidate's arms, and with what a
model expects of each arm taken off, both must earn the same. Where it does not, or they differ,
nothing off-policy holds of the generator: only a canary can tell.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rapport.evaluation.comparisons import MIN_USERS
from rapport.evaluation.diagnostics import ess
from rapport.evaluation.estimators import Log, importance_weights
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.intervals import (
    Bootstrap,
    FloatArray,
    Terms,
    clustered_bootstrap,
    distinct,
    summary,
)
from rapport.evaluation.verdict import Gain, GateSettings

Standing = Literal["same", "alike", "canary only"]
CANARY_ONLY: Standing = "canary only"
_ONE_SIDED = 0.90


@dataclass(frozen=True)
class Generators:
    """Whether a log speaks for the candidate's generator."""

    standing: Standing
    """`same`: it wrote every reply. `alike`: others' replies earned the same under the same arms.
    `canary only`: neither was shown."""
    why: str = ""
    gap: Gain | None = None
    """What its own replies earned more than others' under the same arms, in reward units."""


def generators(seen: Evidence, target: FloatArray, settings: GateSettings) -> Generators:
    """Tell whether a log with replies of several generators speaks for the candidate's.

    Two one-sided tests at 5 % each: alike where the gap surely lies within `settings.drift`, so
    that generators further apart than that are taken for alike in 5 % of cases at most.

    Args:
        seen: Decisions that were answered.
        target: [N, A] the candidate's action probabilities.
        settings: Its `drift` is the largest gap that counts as none.

    Source: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 1987 (equivalence by two tests).
    """
    theirs, log = seen.foreign, seen.log
    if theirs is None or not theirs.any():
        return Generators("same")
    told = f"{int(theirs.sum())} of {len(log)} replies come from another generator"
    weight = importance_weights(log, target, clip=settings.clip) * log.weight
    if not all(_enough(log, weight, rows, settings) for rows in (theirs, ~theirs)):
        return Generators(CANARY_ONLY, f"{told}, and too few of one of both to compare them")
    terms = _gap(seen, weight)
    drawn = clustered_bootstrap([terms], Bootstrap(settings.resamples, settings.seed))
    found = summary(terms, drawn[:, 0], level=_ONE_SIDED)
    gap = Gain(found.value, found.stderr, found.low, found.high)
    between = f"under the same arms its own earn {gap.low:+.3f} to {gap.high:+.3f} more"
    if -settings.drift < gap.low and gap.high < settings.drift:
        return Generators("alike", f"{told}; {between}, which counts as the same", gap)
    return Generators(CANARY_ONLY, f"{told}; {between}", gap)


def _enough(log: Log, weight: FloatArray, rows: NDArray[np.bool_], settings: GateSettings) -> bool:
    return len(distinct(log.user[rows])) >= MIN_USERS and ess(weight[rows]) >= settings.group_ess


def _gap(seen: Evidence, weight: FloatArray) -> Terms:
    """Self-normalised mean surprise of the candidate's own replies, less that of the others."""
    log, theirs = seen.log, seen.foreign
    assert theirs is not None
    surprise = weight * (log.reward - seen.q_hat[np.arange(len(log)), log.action])
    return Terms(
        numerator=np.stack([np.where(theirs, 0.0, surprise), np.where(theirs, -surprise, 0.0)]),
        denominator=np.stack([np.where(theirs, 0.0, weight), np.where(theirs, weight, 0.0)]),
        user=log.user,
        weight=weight,
    )
