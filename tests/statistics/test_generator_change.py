"""A new generator in the simulator: its worth is covered by the interval, or a canary is asked for.

Contexts, arms and true rewards are those of simulated conversations. A generator shows the arm it
was asked for in some share of its replies, and else replies as the control group is answered.
"""

import numpy as np
import pytest

from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings
from tests.statistics.report import say
from tests.statistics.simulated_log import world

LOGS = 1000
OLD = 0.75
NOISE = 0.5


def shares(*, shown, own, logs, users=150):
    """Shares of logs whose interval holds the candidate's worth, that say `canary only`, and both.

    Args:
        shown: Share of the new generator's replies that show the arm asked for.
        own: Share of the log that the new generator wrote already.
        logs: How many are drawn.
        users: Of each log.
    """
    found = world(1, users=500)
    expected, masked = np.nan_to_num(found.expected), ~np.isnan(found.expected)
    chance = np.where(masked, np.exp(6.0 * expected), 0.0)
    target = chance / chance.sum(axis=1, keepdims=True)
    even = masked / masked.sum(axis=1, keepdims=True)
    rng, everyone = np.random.default_rng(31), np.unique(found.data.user)
    held, asked, either = [], [], []
    for seed in range(logs):
        chosen = np.isin(found.data.user, rng.choice(everyone, size=users, replace=False))
        place = np.flatnonzero(chosen)
        new = rng.random(len(place)) < own
        keeps = np.where(new, shown, OLD)
        action = (even[place].cumsum(axis=1) > rng.random((len(place), 1))).argmax(axis=1)
        mean = keeps * expected[place, action] + (1 - keeps) * found.control
        taste = rng.uniform(-0.1, 0.1, size=len(everyone))
        user = np.searchsorted(everyone, found.data.user[place])
        felt = mean + taste[user] + rng.uniform(-NOISE, NOISE, size=len(place))
        given = even[place, action]
        log = Log(action, felt, given, user, probabilities=even[place])
        names = found.data.layout.arms
        seen = Evidence(log, OLD * expected[place], names, foreign=~new)
        verdict = gate(seen, target[place], GateSettings(resamples=200, seed=seed))
        worth = shown * expected + (1 - shown) * found.control
        truth = float((target * worth).sum(axis=1).mean())
        value = verdict.values["dr"]
        held.append(value.low <= truth <= value.high)
        asked.append(verdict.generator == "canary only")
        either.append(held[-1] or asked[-1])
    say(
        f"new generator shows {shown:.0%} of arms (old {OLD:.0%}), wrote {own:.0%} of the log: "
        f"interval covers {np.mean(held):.1%}, `canary only` {np.mean(asked):.1%}, "
        f"one of both {np.mean(either):.1%}"
    )
    return float(np.mean(held)), float(np.mean(asked)), float(np.mean(either))


def test_a_generator_that_the_log_never_held_is_left_to_a_canary():
    _, asked, _ = shares(shown=0.5, own=0.0, logs=5)
    assert asked == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("own", [0.0, 0.5])
@pytest.mark.parametrize("shown", [0.3, 0.75, 0.95])
def test_the_interval_covers_or_the_gate_says_canary_only(shown, own):
    held, asked, either = shares(shown=shown, own=own, logs=LOGS)
    assert either >= 0.93
    if own == 0.0:
        assert asked == 1.0
    if shown == OLD:
        assert 0.93 <= held <= 0.97
