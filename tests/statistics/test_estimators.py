"""Claims about estimators, each over many logs, with tolerances of 4 standard errors."""

import numpy as np
import pytest

from rapport.evaluation.estimators import (
    Log,
    direct_terms,
    dr_terms,
    ips_terms,
    sndr_terms,
    snips,
    snips_terms,
)
from rapport.evaluation.intervals import Bootstrap, estimate
from tests.unit.evaluation.logs import mostly

REPEATS = 150
ROWS, USERS, ARMS = 600, 60, 4
MEANS = np.array([0.3, 0.0, -0.1, 0.1])
TARGET = mostly(0, n=ROWS, arms=ARMS, share=0.7)
TRUE_VALUE = float(TARGET[0] @ MEANS)
USELESS = np.random.default_rng(99).normal(size=(ROWS, ARMS))


def a_log(rng, *, user_spread=0.0, propensity_error=1.0):
    logging = rng.dirichlet(np.full(ARMS, 4.0), size=ROWS) * 0.8 + 0.2 / ARMS
    action = (logging.cumsum(axis=1) > rng.random((ROWS, 1))).argmax(axis=1)
    user = np.arange(ROWS) % USERS
    reward = MEANS[action] + 0.3 * rng.normal(size=ROWS)
    reward += user_spread * rng.normal(size=USERS)[user]
    propensity = np.minimum(logging[np.arange(ROWS), action] * propensity_error, 1.0)
    return Log(action, reward, propensity, user)


def errors(estimator, **knobs):
    """Estimates minus the truth over independent logs."""
    rng = np.random.default_rng(7)
    return np.array([estimator(a_log(rng, **knobs)).value - TRUE_VALUE for _ in range(REPEATS)])


def bias_in_stderr(found):
    return abs(found.mean()) / (found.std(ddof=1) / np.sqrt(len(found)))


UNBIASED = {
    "ips": lambda log: ips_terms(log, TARGET),
    "snips": lambda log: snips_terms(log, TARGET),
    "dr with a useless model": lambda log: dr_terms(log, TARGET, USELESS),
    "dr with a true model": lambda log: dr_terms(log, TARGET, np.tile(MEANS, (ROWS, 1))),
    "sn-dr with a useless model": lambda log: sndr_terms(log, TARGET, USELESS),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_estimators_recover_the_true_value(name):
    assert bias_in_stderr(errors(UNBIASED[name])) < 4


def test_doubly_robust_recovers_it_from_wrong_propensities_with_a_true_model():
    def robust(log):
        return dr_terms(log, TARGET, np.tile(MEANS, (ROWS, 1)))

    assert bias_in_stderr(errors(robust, propensity_error=1.5)) < 4
    assert bias_in_stderr(errors(UNBIASED["ips"], propensity_error=1.5)) > 4


def test_the_direct_method_keeps_the_bias_of_its_model():
    off = np.tile(MEANS, (ROWS, 1)) + 0.1
    found = errors(lambda log: direct_terms(log, TARGET, off))
    assert np.abs(found - 0.1).max() < 1e-9


def test_a_good_model_and_self_normalising_each_lower_the_variance():
    plain, normal = errors(UNBIASED["ips"]), errors(UNBIASED["snips"])
    robust = errors(UNBIASED["dr with a true model"])
    assert robust.std() < plain.std()
    assert normal.std() < plain.std()


def test_clipping_lowers_the_variance():
    clipped = errors(lambda log: ips_terms(log, TARGET, clip=2.0))
    assert clipped.std() < errors(UNBIASED["ips"]).std()
    assert abs(clipped.mean()) > abs(errors(UNBIASED["ips"]).mean())


def covered(*, by_user):
    rng = np.random.default_rng(8)
    hits = 0
    for repeat in range(REPEATS):
        log = a_log(rng, user_spread=0.4)
        terms = snips_terms(log, TARGET)
        if not by_user:
            terms = snips_terms(
                Log(log.action, log.reward, log.propensity, np.arange(ROWS)), TARGET
            )
        found = estimate(terms, Bootstrap(resamples=300, seed=repeat))
        hits += found.low <= TRUE_VALUE <= found.high
    return hits / REPEATS


def test_intervals_by_user_cover_the_truth_as_often_as_they_say_and_row_wise_ones_do_not():
    # 95 % over 150 logs, 4 standard errors of .018; and .02 for 60 users being few.
    assert abs(covered(by_user=True) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / REPEATS) + 0.02
    assert covered(by_user=False) < 0.85


def test_the_bootstrap_stderr_is_the_spread_over_logs():
    rng = np.random.default_rng(9)
    spread = errors(UNBIASED["snips"]).std(ddof=1)
    said = np.mean([snips(a_log(rng), TARGET, Bootstrap(resamples=300)).stderr for _ in range(40)])
    # Both sides are estimates of a standard deviation: relative errors 1/sqrt(2 * 150), 1/sqrt(80).
    assert abs(said / spread - 1) < 4 * np.hypot(1 / np.sqrt(300), 1 / np.sqrt(80 * 300))
