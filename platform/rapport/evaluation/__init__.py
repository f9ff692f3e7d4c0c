"""What another policy would have earned, judged from a log: arrays in, numbers out."""

from rapport.evaluation.estimators import (
    Log,
    clipped,
    direct_method,
    doubly_robust,
    ips,
    self_normalised_doubly_robust,
    snips,
    switch_doubly_robust,
)
from rapport.evaluation.intervals import Bootstrap, Estimate

__all__ = [
    "Bootstrap",
    "Estimate",
    "Log",
    "clipped",
    "direct_method",
    "doubly_robust",
    "ips",
    "self_normalised_doubly_robust",
    "snips",
    "switch_doubly_robust",
]
