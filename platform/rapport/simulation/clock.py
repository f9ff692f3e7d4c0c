"""When things happened: sessions spread over the days of a log, exchanges seconds apart."""

import numpy as np
from numpy.typing import NDArray

from rapport.simulation.generation import Step
from rapport.simulation.minds import HABITS, Minds
from rapport.simulation.settings import SimulationConfig

FloatArray = NDArray[np.float64]

REPLY_S = 1.5
"""Seconds an agent takes to answer."""
_DAY_S = 86_400.0
_FIRST = 0.25
"""Share of the log's days within which everyone has shown up."""
_SESSIONS_A_TURN = 0.22
"""About how many conversations begin a turn; sets how long the gaps between them are."""


def starts(step: Step, minds: Minds, *, config: SimulationConfig) -> FloatArray:
    """Seconds [N, T] from the start of the log at which each user message was sent."""
    rng = np.random.default_rng(config.seeds(4))
    span = config.days * _DAY_S
    pause = (step.pause_s + REPLY_S).T
    talk = np.concatenate([np.zeros((len(minds), 1)), pause[:, :-1].cumsum(axis=1)], axis=1)
    first = rng.uniform(0.0, _FIRST * span, len(minds))
    usual = (1.0 - _FIRST) * span / max(1.0, _SESSIONS_A_TURN * config.turns)
    away = 0.8 * usual * np.exp(0.6 * minds.habits[:, HABITS.index("gap")])
    # Exponential gaps: people come back by chance, half an hour later at the earliest.
    gap = rng.exponential(1.0, talk.shape) * away[:, None] + 1800.0
    gap = np.where((step.exchange.T == 0) & (np.arange(config.turns) > 0), gap, 0.0).cumsum(axis=1)
    # Whoever would run over the end of the log comes back sooner each time.
    free = span - first - talk[:, -1] - pause[:, -1]
    fits = np.clip(free / np.maximum(gap[:, -1], 1.0), 0.0, 1.0)
    return np.asarray(first[:, None] + talk + gap * fits[:, None])
