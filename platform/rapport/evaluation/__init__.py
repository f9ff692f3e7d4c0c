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
from rapport.evaluation.valuation import Cuts, Valuation, valuation, valuations

__all__ = [
    "Bootstrap",
    "Cuts",
    "Estimate",
    "Log",
    "Valuation",
    "clipped",
    "direct_method",
    "doubly_robust",
    "ips",
    "self_normalised_doubly_robust",
    "snips",
    "switch_doubly_robust",
    "valuation",
    "valuations",
]
