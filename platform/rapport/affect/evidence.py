"""How much a channel weighs, and why: by what was measured, or because people say it outright."""

from collections.abc import Mapping

from rapport.affect.channels import Channel
from rapport.config import Config


class Correlation(Config):
    """Rank correlation of a channel with the relief people tell of, over conversations."""

    rho: float
    low: float
    """Ends of the 95 % interval."""
    high: float
    n: int
    """Conversations it rests on."""


class Evidence(Correlation):
    """The same over all conversations, those that failed among them, and what is left without."""

    retained: Correlation | None = None
    """Without those that failed, which were chosen for telling of no relief: whether the channel
    tells more relief from less, not only some from none. None where it was not measured."""


MEASURED: Mapping[Channel, Evidence] = {
    "rating": Evidence(
        rho=0.511,
        low=0.434,
        high=0.587,
        n=392,
        retained=Correlation(rho=0.287, low=0.164, high=0.39, n=282),
    ),
    "sentiment": Evidence(
        rho=0.127,
        low=0.063,
        high=0.19,
        n=1031,
        retained=Correlation(rho=0.05, low=-0.017, high=0.116, n=920),
    ),
}
"""On ESConv and its failed dialogues: `rapport evaluate reward`, groups `stars` and `rapport`."""

SPOKEN: Mapping[Channel, float] = {
    "thumbs": 1.0,
    "task_success": 1.0,
    "comment": 0.5,
    "reward": 1.0,
    "outcome": 1.0,
    "false_premise": 1.0,
    "reliance": 1.0,
    "timing": 1.0,
}
"""Weights set by judgement: verdicts and outcomes that somebody states, and the penalties for what
must not pay. No survey is known beside them. What only behaviour shows (`dwell`) is in neither
table: without a measurement it weighs nothing."""


def learnt_weight(found: Correlation, reference: Correlation) -> float:
    """Weight of a channel where the reference's is 1: the ratio of their lower bounds, to .01.

    A channel whose lower bound is not above 0 weighs 0, and none weighs more than the reference.
    """
    if min(found.low, reference.low) <= 0:
        return 0.0
    return round(min(found.low / reference.low, 1.0), 2)


def shipped_weights() -> dict[Channel, float]:
    """Weight of every channel: measured against the stars people give, or spoken."""
    stars = MEASURED["rating"]
    return {name: learnt_weight(found, stars) for name, found in MEASURED.items()} | dict(SPOKEN)
