"""Small logs for tests of estimators and gate."""

import numpy as np

from rapport.evaluation.estimators import Log


def a_log(*, n=400, arms=3, users=40, seed=0, gap=0.3, silent=0.0):
    """A log of a uniform-with-tilt policy; arm 0 earns `gap` more than the others.

    Returns:
        The log, the logging probabilities [N, A], and the true expected rewards [N, A].
    """
    rng = np.random.default_rng(seed)
    logging = rng.dirichlet(np.full(arms, 5.0), size=n) * 0.7 + 0.3 / arms
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    expected = np.zeros((n, arms))
    expected[:, 0] += gap
    user = rng.integers(users, size=n)
    reward = expected[np.arange(n), action] + 0.2 * rng.normal(size=n)
    reward = np.clip(reward + 0.1 * rng.normal(size=users)[user], -1, 1)
    reward[rng.random(n) < silent] = np.nan
    propensity = logging[np.arange(n), action]
    return Log(action, reward, propensity, user, probabilities=logging), logging, expected


def mostly(arm, *, n, arms, share=0.9):
    """A policy that takes one arm with probability `share`, the others evenly."""
    target = np.full((n, arms), (1 - share) / (arms - 1))
    target[:, arm] = share
    return target
