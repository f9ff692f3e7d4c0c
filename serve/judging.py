"""Asking the policy; where it breaks, the NLP score alone decides, and the decision says so."""

from collections.abc import Callable
from dataclasses import dataclass

from rapport.errors import RapportError
from rapport.policy.policy import Policy, Scores, uniform_policy

NLP_ALONE = "policy:nlp_alone"
"""In a decision's `degraded`: the policy broke, so no expected reward counted."""
MISSING = "policy:missing"
"""In a decision's `degraded`: the release holds no policy."""
BROKEN = (RapportError, ValueError, LookupError, ArithmeticError, RuntimeError, TypeError)
"""What weights that do not fit, or are no numbers, end in."""


@dataclass(frozen=True)
class Judged:
    """What was thought of a decision, and by which policy."""

    scores: Scores
    policy_id: str
    degraded: str | None = None


def judged(policy: Policy, ask: Callable[[Policy], Scores]) -> Judged:
    """Ask a policy; a broken one is left for its own NLP part, and that for even chances.

    The probabilities are those of whichever answered, so they are exact in every case.
    """
    try:
        return Judged(ask(policy), policy.id)
    except BROKEN:
        pass
    alone = policy.nlp_alone()
    try:
        return Judged(ask(alone), alone.id, NLP_ALONE)
    except BROKEN:
        even = uniform_policy(policy.layout)
        return Judged(ask(even), even.id, NLP_ALONE)
