"""The same estimators under each reading of missing feedback: who stayed silent, and why?"""

import numpy as np

from rapport.evaluation.diagnostics import (
    WORST_REWARD,
    reporting_chance,
    with_reporting_weights,
)
from rapport.evaluation.estimators import Crossing, Log
from rapport.evaluation.evidence import AT_WORST, WEIGHTED
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import OBSERVED

AT_BEST = "at best"
"""A reading of silence beside those of the gate: every one filled with the best reward."""
BEST_REWARD = 1.0


def under_silence(
    log: Log, target: FloatArray, q_hat: FloatArray | None = None
) -> dict[str, Crossing]:
    """Cross a log whose rewards may be missing with a target, in each way silence may be read.

    `OBSERVED` leaves silent rows out; `WEIGHTED` lets each answer stand for the silent ones like
    it, right if likeness explains silence; `AT_WORST` and `AT_BEST` fill every silence with -1 or
    1, and hold whatever explains it: without a model every estimator rises with each reward, so
    its value on the full log lies between the two. A model is filled alike,
    `chance(a) q(a) + (1 - chance(a)) fill` with the chance that such a decision is answered; the
    bounds of the direct method are as right as that.

    Args:
        log: N decisions, `reward` nan where nothing came back.
        target: [N, A] action probabilities of the policy under study.
        q_hat: [N, A] rewards predicted by a model of other users' answers.

    Returns:
        By reading; `OBSERVED` alone where every decision was answered.

    Source: Robins, Rotnitzky & Zhao, JASA 1994 (weights); Manski, AER 1990 (bounds).
    """
    heard = ~np.isnan(log.reward)
    model = None if q_hat is None else q_hat[heard]
    found = {OBSERVED: Crossing(log.rows(heard), target[heard], model)}
    if heard.all():
        return found
    likeness = np.zeros(target.shape) if q_hat is None else q_hat
    weighted, _ = with_reporting_weights(log, likeness)
    found[WEIGHTED] = Crossing(weighted, target[heard], model)
    chance = reporting_chance(log, likeness)
    for name, fill in ((AT_WORST, WORST_REWARD), (AT_BEST, BEST_REWARD)):
        filled = log.rewarded(np.where(heard, log.reward, fill))
        blended = None if q_hat is None else chance * q_hat + (1.0 - chance) * fill
        found[name] = Crossing(filled, target, blended)
    return found
