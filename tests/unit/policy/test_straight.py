import numpy as np
import pytest

from rapport.policy.straight import LEVELS, PENALTIES, fit_straight

RNG = np.random.default_rng(0)
USERS, ROWS = 100, 3000
USER = RNG.integers(USERS, size=ROWS)
X = RNG.normal(size=(ROWS, 30)).astype(np.float32)
TRUTH = np.r_[0.3, -0.2, 0.1, np.zeros(27)]
EVEN = np.ones(ROWS)


def test_it_is_generalised_least_squares_at_the_penalty_and_level_it_names():
    user = USER[:300]
    weight = RNG.uniform(0.5, 2.0, 300)
    y = X[:300] @ TRUTH + 0.3 * RNG.normal(size=USERS)[user] + 0.4 * RNG.normal(size=300) + 0.2
    found = fit_straight(X[:300], y, weight, user)
    whole = np.column_stack([X[:300], np.ones(300)]).astype(float)
    same = user[:, None] == user[None, :]
    precision = np.linalg.inv(np.diag(1.0 / weight) + found.level * same)
    penalty = np.diag(np.r_[np.full(30, found.penalty), 0.0])
    direct = np.linalg.solve(whole.T @ precision @ whole + penalty, whole.T @ precision @ y)
    assert np.r_[found.weights, found.bias] == pytest.approx(direct, abs=1e-4)
    assert found.level > 0


def test_the_penalty_is_near_what_the_noise_and_the_weights_say():
    spread, noise = 0.05, 0.5
    weights = spread * RNG.normal(size=30)
    y = X @ weights + noise * RNG.normal(size=ROWS)
    found = fit_straight(X, y, EVEN, USER)
    # The variance of 30 weights is known to +-26 %: twice that, and a step of the grid.
    assert 0.4 < found.penalty / (noise / spread) ** 2 < 2.5
    assert found.level == LEVELS[0]
    assert found.weights == pytest.approx(weights, abs=5 * noise / ROWS**0.5)


def test_nothing_is_made_of_noise():
    found = fit_straight(X, RNG.normal(size=ROWS), EVEN, USER)
    assert np.abs(found.weights).max() < 0.01
    assert found.penalty > 1e4


def test_users_who_rate_kindly_are_not_taken_for_what_they_were_shown():
    kind = RNG.normal(size=USERS)
    # Column 0 is what kind users happened to be shown; nobody likes it for itself.
    x = X.copy()
    x[:, 0] += kind[USER]
    y = kind[USER] + 0.3 * RNG.normal(size=ROWS)
    blind = fit_straight(x, y, EVEN, np.arange(ROWS))
    aware = fit_straight(x, y, EVEN, USER)
    assert blind.weights[0] > 0.4
    assert abs(aware.weights[0]) < 0.1
    assert aware.level == LEVELS[-1]


def test_equal_rewards_and_a_single_row_give_the_mean():
    for rows in (1, 50):
        found = fit_straight(X[:rows], np.full(rows, 0.7), EVEN[:rows], USER[:rows])
        assert X[:rows] @ found.weights + found.bias == pytest.approx(np.full(rows, 0.7), abs=1e-3)
    assert PENALTIES[0] <= found.penalty <= PENALTIES[-1]
