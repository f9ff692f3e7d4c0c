"""Two arms that take turns in one run, so that what else the machine does slows both."""

from collections.abc import Callable
from statistics import median
from typing import Any

Arm = Callable[[], float]
"""Does its work once; how much of it a second."""


def in_turn(what: str, ours: Arm, theirs: Arm, *, rounds: int, unit: str) -> dict[str, Any]:
    """A row of a benchmark: median rates of both, and the median of their ratios."""
    ours(), theirs()  # to warm up
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return {
        "what": what,
        "n": rounds,
        f"ours_{unit}_s": round(median(a for a, _ in pairs), 1),
        f"theirs_{unit}_s": round(median(b for _, b in pairs), 1),
        "ratio": round(median(a / b for a, b in pairs), 3),
    }
