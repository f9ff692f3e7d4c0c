"""When to speak unasked, and how: not now, or a nudge of one of three kinds, drawn like any arm.

What an arm earns is a ridge regression on what nudges earned before, drawn towards a prior in which
a nudge is worth more the more urgent its task is; `q = prior + w_arm . [1, urgency, begun]`. Rows
weigh `1 / propensity`, cut at `CLIP`. Probabilities are the house's tempered product with a floor
(`rapport.policy.behaviour`), exact, and logged as drawn from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rapport.policy.behaviour import Behaviour
from rapport.policy.features import BoolArray, FloatArray, IntArray

NOT_NOW = "not_now"
KINDS = ("suggestion", "resource", "reminder")
ARMS = (NOT_NOW, *KINDS)
FEATURES = ("urgency", "begun")
"""Features of a decision's row that the policy sees, each in [0, 1]: how near the deadline is, and
whether a step was taken."""
BEHAVIOUR = Behaviour(b=4.0, epsilon=0.1)
CLIP = 20.0
_STRENGTH = 10.0
"""Rows that the prior is worth."""
_LEAST_GAIN, _GAIN = -0.3, 0.6
"""What a nudge is taken to earn against not now, at urgency 0 and on top of it at 1."""
_REC = 0.01, 1.0


@dataclass(frozen=True)
class Nudged:
    """N decisions of the past."""

    state: FloatArray
    """[N, F] as `FEATURES`."""
    arm: IntArray
    """[N] positions in `ARMS`."""
    propensity: FloatArray
    reward: FloatArray
    """[N] in [-1, 1]; nan where nothing came back. Not having spoken earns 0 then: nobody was
    disturbed and nobody was helped. A nudge without an answer teaches nothing."""


@dataclass(frozen=True)
class NudgePolicy:
    """Expected rewards and probabilities of the arms."""

    weights: FloatArray
    """[A, 1 + F] on top of the prior."""
    behaviour: Behaviour = BEHAVIOUR

    @property
    def id(self) -> str:
        """16 hex digits over weights and behaviour, the `policy_id` of its decisions."""
        said = self.weights.tobytes() + repr(self.behaviour).encode()
        return f"nudges-{hashlib.sha256(said).hexdigest()[:16]}"

    def expected(self, state: FloatArray) -> FloatArray:
        """[N, A] what each arm should earn, in [-1, 1], of states [N, F]."""
        learned = _with_ones(state) @ self.weights.T
        return np.clip(_prior(state) + learned, -1.0, 1.0)

    def probabilities(self, state: FloatArray, *, explore: BoolArray) -> tuple[FloatArray, ...]:
        """[N, A] `rec` in (0, 1] and probabilities; rows of those not to be explored on are 0/1."""
        rec = np.clip((1.0 + self.expected(state)) / 2.0, *_REC)
        even, everything = np.ones(rec.shape), np.ones(rec.shape, dtype=bool)
        drawn = self.behaviour.probabilities(even, rec, mask=everything, explore=explore)
        return rec, drawn


def fit_nudges(past: Nudged | None = None) -> NudgePolicy:
    """Learn from what nudges earned; without any, the prior alone."""
    weights = np.zeros((len(ARMS), 1 + len(FEATURES)))
    if past is None:
        return NudgePolicy(weights)
    reward = np.where(np.isnan(past.reward) & (past.arm == 0), 0.0, past.reward)
    prior = _prior(past.state)[np.arange(len(past.arm)), past.arm]
    for arm in range(len(ARMS)):
        rows = (past.arm == arm) & ~np.isnan(reward)
        x, weight = _with_ones(past.state[rows]), np.minimum(1.0 / past.propensity[rows], CLIP)
        scale = weight / weight.mean() if rows.any() else weight
        gram = (x * scale[:, None]).T @ x + _STRENGTH * np.eye(x.shape[1])
        weights[arm] = np.linalg.solve(gram, (x * scale[:, None]).T @ (reward - prior)[rows])
    return NudgePolicy(weights)


def kinds_of(arms: Sequence[str]) -> IntArray:
    """[N] positions in `ARMS`."""
    return np.array([ARMS.index(arm) for arm in arms], dtype=np.intp)


def _prior(state: FloatArray) -> FloatArray:
    """[N, A]: 0 for not now; the same for every kind, growing with urgency."""
    gain = _LEAST_GAIN + _GAIN * state[:, :1]
    return np.concatenate([np.zeros_like(gain), np.repeat(gain, len(KINDS), axis=1)], axis=1)


def _with_ones(state: FloatArray) -> FloatArray:
    return np.concatenate([np.ones((len(state), 1)), state], axis=1)
