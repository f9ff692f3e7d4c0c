"""How long the stages of a demo take: an estimate before each, corrected by those that are done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Grows = Literal["log", "budget", "not"]

USUAL: Mapping[str, tuple[float, Grows]] = {
    "simulate": (3, "log"),
    "ingest_logs": (5, "log"),
    "models": (1, "not"),
    "embed_users": (55, "log"),
    "compute_rewards": (8, "log"),
    "segment_personas": (7, "log"),
    "first reply": (10, "not"),
    "train_scorers": (11, "not"),
    "train_adapters": (160, "budget"),
    "train_policy": (30, "budget"),
    "evaluate_release": (60, "not"),
    "the gate catches harm": (8, "log"),
    "promote_release": (5, "not"),
    "serve until ready": (26, "not"),
    "conversations": (75, "not"),
    "relay_outbox": (2, "not"),
    "embed_users again": (8, "not"),
    "compute_rewards again": (8, "log"),
    "train_policy again": (16, "log"),
    "evaluate_release again": (8, "log"),
    "report": (12, "not"),
}
"""Seconds of each stage, in order, of a demo of 1,500 users on two quiet cores, and what they grow
with: the log, the time that trainings are given, or neither."""
_USERS = 1500
_START_S = 5.0
"""Of them, what a process takes to start: it does not shrink with the log."""
_ELSEWHERE = "models"
"""A stage that waits for a network: how long it takes tells nothing of this machine."""
_STEADY_S = 30.0
"""Seconds as usual that are taken as already seen, so that one odd stage does not sway the rest."""


@dataclass
class Pace:
    """Time left, from the usual times and how this machine compares so far."""

    users: int
    scale: float
    """Factor on every stage's budget."""
    usual_s: float = _STEADY_S
    taken_s: float = _STEADY_S
    done: set[str] = field(default_factory=set)

    def expected_s(self, label: str) -> float:
        """Seconds that a stage should take here."""
        return self._usual(label) * self.taken_s / self.usual_s

    def left_s(self) -> float:
        """Seconds until the end."""
        return sum(self.expected_s(label) for label in USUAL if label not in self.done)

    def took(self, label: str, seconds: float) -> None:
        """Learn from a stage that ended."""
        self.done.add(label)
        if label != _ELSEWHERE:
            self.usual_s += self._usual(label)
            self.taken_s += seconds

    def skip(self, label: str) -> None:
        """Leave out a stage that need not be done."""
        self.done.add(label)

    def _usual(self, label: str) -> float:
        seconds, grows = USUAL.get(label, (0.0, "not"))
        factor = {"log": self.users / _USERS, "budget": min(self.scale, 1.0), "not": 1.0}[grows]
        start = min(seconds, _START_S)
        return start + (seconds - start) * factor


def spoken(seconds: float) -> str:
    """A duration as one says it: `40 s`, `6 min`."""
    if seconds < 90:
        return f"{max(round(seconds, -1), 5):.0f} s"
    return f"{seconds / 60:.0f} min"
