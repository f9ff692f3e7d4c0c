"""The gate's own error rates, measured."""

import numpy as np

from rapport.evaluation.estimators import Log
from rapport.evaluation.gate import Evidence, gate
from rapport.evaluation.verdict import GateSettings
from tests.statistics.report import say
from tests.unit.evaluation.logs import mostly

REPEATS = 100
ROWS, USERS, ARMS = 2000, 200, 4
NAMES = ("question", "reflection", "suggestion", "information")
SETTINGS = GateSettings(resamples=200)
TARGET = mostly(0, n=ROWS, arms=ARMS, share=0.7)


def verdicts(*, gain, harm=0.0, repeats=REPEATS):
    """Verdicts on a policy that gains `gain` overall, one persona in four losing `harm` instead."""
    rng = np.random.default_rng(11)
    found = []
    for repeat in range(repeats):
        user = np.arange(ROWS) % USERS
        persona = user % 4
        lift = np.where((persona == 0) & (harm > 0), -harm, gain) / (0.7 - 1 / ARMS)
        action = rng.integers(ARMS, size=ROWS)
        expected = np.zeros((ROWS, ARMS))
        expected[:, 0] = lift
        reward = expected[np.arange(ROWS), action] + 0.35 * rng.normal(size=ROWS)
        reward += 0.1 * rng.normal(size=USERS)[user]
        log = Log(action, reward, np.full(ROWS, 1 / ARMS), user)
        groups = {"persona": persona} if harm else {}
        evidence = Evidence(log, np.full((ROWS, ARMS), 0.05), NAMES, groups=groups)
        settings = GateSettings(resamples=SETTINGS.resamples, seed=repeat)
        found.append(gate(evidence, TARGET, settings))
    return found


def promoted(found):
    return np.mean([verdict.promoted for verdict in found])


def test_a_policy_that_gains_nothing_is_promoted_in_at_most_one_case_of_twenty():
    rate = promoted(verdicts(gain=0.0))
    say(f"false promotions: {rate:.3f} of {REPEATS}, nominal .05")
    assert rate <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / REPEATS)


def test_the_gain_it_says_it_detects_passes_in_about_four_cases_of_five():
    detectable = np.mean([v.error_rates["detectable_gain"] for v in verdicts(gain=0.0, repeats=10)])
    rate = promoted(verdicts(gain=float(detectable)))
    say(f"a gain of {detectable:.3f} is promoted in {rate:.3f} of {REPEATS}, said .8")
    # Both SNIPS and DR must pass and agree closely; .05 for the percentile interval.
    assert abs(rate - 0.8) < 4 * np.sqrt(0.8 * 0.2 / REPEATS) + 0.05


def test_a_harmed_persona_refuses_a_policy_that_gains_overall():
    found = verdicts(gain=0.15, harm=0.06, repeats=60)
    overall = np.mean([all(r.status == "passed" for r in v.rows[:2]) for v in found])
    rate = promoted(found)
    say(f"overall passes {overall:.2f}, promoted with one persona harmed {rate:.2f}")
    assert overall > 0.95
    assert rate <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 60)


def test_a_refusal_for_too_little_data_says_about_how_much_would_do():
    gain = 0.008
    refused = [v for v in verdicts(gain=gain, repeats=40) if v.needed_n]
    needed = float(np.median([v.needed_n or 0 for v in refused]))
    stderr = np.mean([v.rows[1].stderr or 0.0 for v in refused])
    truly = ROWS * ((1.6449 + 0.8416) * stderr / gain) ** 2
    say(f"said {needed:.0f} decisions, the true gain of {gain} needs {truly:.0f}")
    # The estimate behind it is as uncertain as the verdict: the order of magnitude must be right.
    assert truly / 10 < needed < truly * 10
