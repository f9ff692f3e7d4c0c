"""Predicted rewards by models that never saw the user they are asked about.

A model asked about rows it was fitted to takes their noise for knowledge, and every estimator that
leans on it becomes too sure.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.estimators import Log
from rapport.evaluation.intervals import FloatArray

FOLDS = 3
Predict = Callable[[FloatArray], FloatArray]
"""Context [M, D] in, expected reward of every action [M, A] out."""
Fit = Callable[[Log, FloatArray], Predict]
"""A rewarded log and its context [N, D] in; how to predict out."""


def cross_fitted(
    log: Log, context: FloatArray, fit: Fit, *, folds: int = FOLDS, seed: int = 0
) -> FloatArray:
    """Predict every row by a model of the users of the other folds.

    Args:
        log: N decisions; those without a reward teach nothing and are predicted all the same.
        context: [N, D] what was known before each decision; D may be 0.
        fit: For instance `ridge(arms=A)`.
        folds: How many groups of users; more leave each model more data, and cost as much more.
        seed: Of the deal of users.

    Returns:
        [N, A] expected rewards.

    Raises:
        DataError: Context and log differ in rows.
        TooLittleDataError: Fewer users than folds, or a fold whose others reported nothing.

    Source: Chernozhukov et al., Econometrics Journal 2018 (arXiv:1608.00060).
    """
    if len(context) != len(log):
        raise DataError("context and log differ in rows", "give one row a decision")
    fold, heard = user_folds(log.user, folds=folds, seed=seed), ~np.isnan(log.reward)
    parts = {}
    for each in range(folds):
        others = (fold != each) & heard
        if not others.any():
            raise TooLittleDataError("rewards of other users to fit to", 0, 1)
        parts[each] = fit(log.rows(others), context[others])(context[fold == each])
    q_hat = np.empty((len(log), parts[0].shape[1]))
    for each, predicted in parts.items():
        q_hat[fold == each] = predicted
    return q_hat


def user_folds(user: NDArray[np.generic], *, folds: int = FOLDS, seed: int = 0) -> NDArray[np.intp]:
    """[N] fold of each row; users are dealt at random into folds of equal numbers of users."""
    labels, code = np.unique(user, return_inverse=True)
    if len(labels) < folds:
        raise TooLittleDataError("users to deal into folds", len(labels), folds)
    dealt = np.random.default_rng(seed).permutation(len(labels)) % folds
    return np.asarray(dealt[code])


def ridge(*, arms: int, strength: float = 10.0) -> Fit:
    """Linear expected rewards: one line shared by all actions, and each action's own beside it.

    The shared line is fitted first, an action's own to what it leaves; each is shrunk to 0 as if
    `strength` more rows had shown nothing. An action never taken has the shared line. Closed form,
    O(N D^2).

    Source: Hoerl & Kennard, Technometrics 1970; shared and own parts as in hybrid LinUCB, Li et
    al., WWW 2010 (arXiv:1003.0146).
    """

    def fit(log: Log, context: FloatArray) -> Predict:
        centre, scale = context.mean(axis=0), context.std(axis=0) + 1e-12
        x = _with_ones((context - centre) / scale)
        shared = _solved(x, log.reward, strength=strength)
        left = log.reward - x @ shared
        own = np.zeros((arms, x.shape[1]))
        for arm in np.unique(log.action):
            rows = log.action == arm
            own[arm] = _solved(x[rows], left[rows], strength=strength)
        lines = (shared + own).T
        return lambda asked: np.asarray(_with_ones((asked - centre) / scale) @ lines)

    return fit


def _solved(x: FloatArray, y: FloatArray, *, strength: float) -> FloatArray:
    return np.asarray(np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y))


def _with_ones(x: FloatArray) -> FloatArray:
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)
