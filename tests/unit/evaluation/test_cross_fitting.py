import numpy as np
import pytest

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.cross_fitting import cross_fitted, ridge, user_folds
from rapport.evaluation.estimators import Crossing
from tests.unit.evaluation.logs import a_log, mostly


def test_a_ridge_without_context_by_hand():
    log, _, _ = a_log(n=3, arms=2, users=3)
    log = log.rewarded(np.array([1.0, 0.0, 0.5]))
    object.__setattr__(log, "action", np.array([0, 0, 1]))
    predict = ridge(arms=3, strength=1.0)(log, np.empty((3, 0)))
    # Shared: 1.5 / 4 = .375. Left over .625, -.375 | .125: own .25 / 3, .125 / 2, none.
    found = predict(np.empty((1, 0)))
    assert found == pytest.approx(np.array([[0.375 + 0.25 / 3, 0.375 + 0.0625, 0.375]]))


def test_the_model_of_a_row_never_saw_its_user():
    log, _, _ = a_log(n=300, users=30)
    seen = []

    def fit(some, context):
        seen.append((set(some.user.tolist()), set(context[:, 0].astype(int).tolist())))
        return lambda asked: np.full((len(asked), 3), float(len(seen)))

    q_hat = cross_fitted(log, log.user[:, None].astype(float), fit, folds=3)
    for taught, (users, context) in enumerate(seen, start=1):
        assert users == context
        assert not users & set(log.user[q_hat[:, 0] == taught].tolist())


def test_users_are_dealt_evenly_and_whole():
    user = np.array(["a", "b", "c", "d", "e", "f"] * 4)
    fold = user_folds(user, folds=3, seed=1)
    assert np.bincount(fold).tolist() == [8, 8, 8]
    assert all(len(set(fold[user == name].tolist())) == 1 for name in user)
    with pytest.raises(TooLittleDataError, match="folds"):
        user_folds(np.array([1, 1]), folds=3)


def test_silent_rows_teach_nothing_and_are_predicted():
    log, _, _ = a_log(n=300, users=30, silent=0.4)
    q_hat = cross_fitted(log, np.zeros((300, 0)), ridge(arms=3))
    assert np.isfinite(q_hat).all()
    with pytest.raises(TooLittleDataError, match="rewards of other users"):
        cross_fitted(log.rewarded(np.full(300, np.nan)), np.zeros((300, 0)), ridge(arms=3))
    with pytest.raises(DataError, match="context"):
        cross_fitted(log, np.zeros((299, 0)), ridge(arms=3))


def test_a_linear_reward_is_learned_and_steadies_the_estimate():
    log, _, _ = a_log(n=3000, users=300)
    context = np.random.default_rng(1).normal(size=(3000, 2))
    slopes = np.array([[0.3, 0.0], [0.0, 0.3], [-0.3, 0.1]])
    log = log.rewarded(log.reward + (context * slopes[log.action]).sum(axis=1))
    q_hat = cross_fitted(log, context, ridge(arms=3))
    truth = context @ slopes.T + np.array([0.3, 0.0, 0.0])
    assert np.abs(q_hat - truth).mean() < 0.05
    crossing = Crossing(log, mostly(0, n=3000, arms=3), q_hat)
    assert crossing.dr().numerator.std() < 0.7 * crossing.ips().numerator.std()
