"""Where a reply decides what the next one is worth, returns beat rewards."""

import numpy as np
import pytest

from rapport.cluster.marwil import MarwilSettings, fit_marwil
from rapport.policy.behaviour import Behaviour
from rapport.policy.policy import ArmScorer, Policy
from rapport.policy.reward_model import fit_reward_model
from tests.statistics.report import say
from tests.statistics.shares import interval, spread
from tests.statistics.trust import Trusting

SEEDS = range(2, 12)
"""Settings were found on seeds 0 and 1."""
GAMMA, USERS = 0.9, 2500
RLLIB = MarwilSettings(epochs=20, undo=0.5)
BEST = Behaviour(a=0.0, b=1.0, temperature=0.0)


def values(seed: int) -> dict[str, float]:
    world = Trusting(seed)
    data = world.log(USERS, seed=0)
    whole = data.with_returns(GAMMA)

    def worth(scorer: ArmScorer, learner: str) -> float:
        return world.value(Policy(world.layout, BEST, learner, scorer=scorer))  # type: ignore[arg-type]

    return {
        "logging": world.value(None),
        "reward model, one step": worth(fit_reward_model(data), "reward_model"),
        "MARWIL, one step": worth(fit_marwil(data, RLLIB), "marwil"),
        "MARWIL, returns": worth(fit_marwil(whole, RLLIB), "marwil"),
        "reward model, returns": worth(fit_reward_model(whole), "reward_model"),
    }


@pytest.mark.slow
def test_rllib_on_returns_beats_the_one_step_model_where_trust_is_built():
    found = [values(seed) for seed in SEEDS]
    table = {name: np.array([each[name] for each in found]) for name in found[0]}
    for name, each in table.items():
        say(f"{name}: {interval(each)} a decision")
    for rival in ("logging", "reward model, one step", "MARWIL, one step"):
        gap = table["MARWIL, returns"] - table[rival]
        say(f"MARWIL, returns - {rival}: {interval(gap)}, {len(SEEDS)} seeds")
        assert gap.mean() - spread(gap) > 0, rival
