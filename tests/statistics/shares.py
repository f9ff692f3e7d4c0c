"""What a learned policy has of the gain an oracle could make, over the log, in any world."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rapport.cluster.marwil import MarwilSettings
from rapport.cluster.trials import LearnerSettings, Recipe, retrain, run_trial
from rapport.policy.behaviour import Behaviour
from rapport.policy.dataset import PolicyDataset
from rapport.policy.learn import prepare
from rapport.policy.policy import Policy
from rapport.policy.reward_model import RewardSettings

Array = NDArray[np.float64]
DEFAULTS: Mapping[str, LearnerSettings] = {
    "reward_model": RewardSettings(),
    "marwil": MarwilSettings(),
}


def released(data: PolicyDataset, learner: str = "reward_model") -> Policy:
    """As a search leaves it that tried this learner's defaults alone."""
    settings = DEFAULTS[learner]
    trial = run_trial(prepare(data), settings, seed=0)
    return retrain(data, Recipe(settings, trial.behaviour))


def greedy(policy: Policy) -> Policy:
    """The same with nothing left to chance: epsilon 0, temperature 0."""
    return replace(policy, behaviour=replace(policy.behaviour, temperature=0.0, epsilon=0.0))


def plain(policy: Policy) -> Policy:
    """The same scores under a = b = 1 at temperature 1."""
    return replace(policy, behaviour=Behaviour(epsilon=policy.behaviour.epsilon))


def rec_alone(policy: Policy) -> Policy:
    """The same without what fits the context."""
    return replace(policy, behaviour=replace(policy.behaviour, a=0.0))


def interval(values: Array) -> str:
    """Mean over seeds with its 95 % interval by Student's t."""
    mean, reach = values.mean(), spread(values)
    return f"{mean:.4f} [{mean - reach:.4f}, {mean + reach:.4f}]"


def spread(values: Array) -> float:
    """Half the width of the 95 % interval of a mean over seeds."""
    n = len(values)
    return float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
