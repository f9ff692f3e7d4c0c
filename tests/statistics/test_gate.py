"""The gate's own error rates, measured."""

import numpy as np
import pytest
from scipy.stats import binom

from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.verdict import GateSettings
from tests.statistics.candidates import ROWS as MANY
from tests.statistics.candidates import World, a_world, evidence
from tests.statistics.report import say
from tests.unit.evaluation.logs import mostly

CANDIDATES = 200
HARM = 0.05

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


def equally_good(world: World) -> np.ndarray:
    return world.swapped()


def better_on_average_but_harmful_to_one(world: World) -> np.ndarray:
    return world.moved(np.array([-HARM, HARM, HARM, HARM]))


def better_for_one_and_the_same_for_the_others(world: World) -> np.ndarray:
    return world.moved(np.array([HARM, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("policy", "at_most", "at_least"),
    [
        (equally_good, 0.05, 0.0),
        (better_on_average_but_harmful_to_one, 0.05, 0.0),
        (better_for_one_and_the_same_for_the_others, 1.0, 0.8),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_of_200_candidates_the_gate_promotes(policy, at_most, at_least):
    rng = np.random.default_rng(17)
    promoted = 0
    for seed in range(CANDIDATES):
        world = a_world(rng)
        found, persona = evidence(world, rng)
        verdict = gate(found, policy(world)[persona], GateSettings(resamples=200, seed=seed))
        promoted += verdict.promoted
    say(
        f"{policy.__name__}: {promoted} of {CANDIDATES} promoted at {MANY} decisions; "
        f"allowed {at_least:g} to {at_most:g}"
    )
    # One run in a thousand leaves these when the rate is exactly at its limit: 21 and 139 of 200.
    assert promoted <= binom.ppf(0.999, CANDIDATES, at_most)
    assert promoted >= binom.ppf(0.001, CANDIDATES, at_least)


def log_with_a_flattering_arm(rng: np.random.Generator) -> tuple[Log, np.ndarray]:
    """Arm 0 leaves 30 % unhappy, of whom 80 % say nothing; arm 1 is honestly good.

    Arm 0 shows .305 and is worth .04; arm 1 shows and is worth .2; the others 0.

    Returns:
        The log with its silence, and what every decision was truly worth [N].
    """
    user = np.arange(ROWS * 4) % (USERS * 2)
    action = rng.integers(ARMS, size=len(user))
    unhappy = (action == 0) & (rng.random(len(user)) < 0.3)
    felt = np.array([0.4, 0.2, 0.0, 0.0])[action] + rng.uniform(-0.2, 0.2, size=len(user))
    felt = np.where(unhappy, felt - 1.2, felt)
    left = (unhappy & (rng.random(len(user)) < 0.8)) | (rng.random(len(user)) < 0.02)
    even = np.full((len(user), ARMS), 1 / ARMS)
    propensity = even[:, 0].copy()
    told = np.where(left, np.nan, felt)
    return Log(action, told, propensity, user, probabilities=even), felt


def test_an_arm_whose_unhappy_users_leave_silently_looks_better_and_is_refused():
    rng = np.random.default_rng(23)
    fooled, refused, promoted = [], [], []
    for seed in range(20):
        log, felt = log_with_a_flattering_arm(rng)
        q_hat = np.tile([0.3, 0.2, 0.0, 0.0], (len(log), 1))  # taught by what was told, too
        found, settings = Evidence(log, q_hat, NAMES), GateSettings(resamples=200, seed=seed)
        flattering = gate(found, mostly(0, n=len(log), arms=ARMS, share=0.7), settings)
        honest = gate(found, mostly(1, n=len(log), arms=ARMS, share=0.7), settings)
        seen = flattering.rows[1].gains["observed"]
        fooled.append(seen.low > 0 and flattering.values["dr"].value > honest.values["dr"].value)
        refused.append(not flattering.promoted)
        promoted.append(honest.promoted)
    shown, true = np.nanmean(log.reward[log.action == 0]), felt[log.action == 0].mean()
    say(
        f"the silent arm shows {shown:.3f} and is worth {true:.3f}, the honest one "
        f"{felt[log.action == 1].mean():.3f}; reporting rates {flattering.reporting_rates}; "
        f"refused {sum(refused)} of 20 ({flattering.reasons[0]}), the honest one promoted "
        f"{sum(promoted)} of 20"
    )
    assert shown > felt[log.action == 1].mean() > true
    assert all(fooled)
    assert all(refused)
    assert all(promoted)
    assert all("silence at worst" in reason for reason in flattering.reasons)
