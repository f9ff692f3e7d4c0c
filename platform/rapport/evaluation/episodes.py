"""Off-policy values of whole episodes: several decisions, each with its own propensity.

Notation: episode i has decisions t = 0, 1, ...; `rho_it` is the product of its importance weights
up to and with t. An episode that is over earns 0 and keeps its last product.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.estimators import Log, importance_weights
from rapport.evaluation.intervals import FloatArray, Terms


@dataclass(frozen=True)
class Episodes:
    """The decisions of a log as E episodes of at most T decisions."""

    log: Log
    episode: NDArray[Any]
    """[N] label of the episode of each decision; all of one user."""
    step: NDArray[np.intp]
    """[N] place of each decision in its episode: 0, 1, ... without a gap."""

    def __post_init__(self) -> None:
        code, step = self.code, self.step
        if not len(code) == len(step) == len(self.log):
            raise DataError("episode, step and log differ in rows", "give one entry a decision")
        if not len(step):
            raise DataError("there is no episode", "give at least one decision")
        length = np.bincount(code)
        filled = np.zeros((len(length), int(length.max())), dtype=bool)
        inside = (step >= 0) & (step < length[code])
        filled[code[inside], step[inside]] = True
        if not inside.all() or filled.sum() != len(step):
            raise DataError("an episode has a gap or a step twice", "number its decisions from 0")

    @cached_property
    def code(self) -> NDArray[np.intp]:
        """[N] number of each decision's episode, 0 to E - 1."""
        _, code = np.unique(self.episode, return_inverse=True)
        return np.asarray(code)

    @cached_property
    def user(self) -> NDArray[Any]:
        """[E] whose episode it is."""
        _, first = np.unique(self.code, return_index=True)
        return np.asarray(self.log.user[first])

    def laid_out(self, value: FloatArray, *, empty: float) -> FloatArray:
        """[E, T] values of decisions by episode and step; `empty` where an episode is over."""
        table = np.full((len(self.user), int(self.step.max()) + 1), empty)
        table[self.code, self.step] = value
        return table


def per_decision_terms(
    episodes: Episodes, target: FloatArray, *, gamma: float = 1.0, self_normalised: bool = False
) -> Terms:
    """Per-decision importance sampling, `sum_t gamma^t mean_i(rho_it r_it)`.

    A reward is weighted by the decisions up to it, not by those after, which cannot have caused
    it. Unbiased; the spread still grows with the length. Self-normalised it divides by the mean of
    `rho_it` at every step: consistent, far steadier.

    Args:
        episodes: E episodes, every decision rewarded (0 where a reward comes only at the end).
        target: [N, A] probabilities of the policy under study, given the same history.
        gamma: Worth of a reward one decision later, in (0, 1].
        self_normalised: Divide each step by its mean weight.

    Returns:
        Terms with one row an episode; the value is in reward units an episode. The weights kept
        for diagnostics are those of whole episodes.

    Raises:
        DataError: A decision has no reward.

    Source: Precup, Sutton & Singh, ICML 2000; self-normalised: Thomas, PhD thesis, 2015 (CWPDIS).
    """
    log = episodes.log
    if np.isnan(log.reward).any():
        raise DataError("a row has no reward", "leave out or fill rows nothing came back for")
    weight = importance_weights(log, target)
    rho = _products(episodes, weight).T
    earned = rho * episodes.laid_out(log.reward, empty=0.0).T
    discount = gamma ** np.arange(len(rho))
    return Terms(
        numerator=discount[:, None] * earned,
        denominator=rho if self_normalised else np.ones_like(rho),
        user=episodes.user,
        weight=rho[-1],
    )


def per_decision_dr_terms(
    episodes: Episodes, target: FloatArray, q_hat: FloatArray, *, gamma: float = 1.0
) -> Terms:
    """Doubly robust value of episodes: every step's residual weighted by the decisions up to it.

    `mean_i(sum_t gamma^t (rho_it (r_it - q_it(a_it)) + rho_i(t-1) sum_a pi(a) q_it(a)))`: unbiased
    when the propensities are right, whatever q is; the better q, the steadier.

    Args:
        episodes: E episodes, every decision rewarded.
        target: [N, A] probabilities of the policy under study, given the same history.
        q_hat: [N, A] reward expected from this decision to the end under the target, discounted,
            by a model of other users.
        gamma: Worth of a reward one decision later, in (0, 1].

    Raises:
        DataError: A decision has no reward.

    Source: Jiang & Li, ICML 2016 (arXiv:1511.03722), written out over the steps as by Thomas &
    Brunskill, ICML 2016 (arXiv:1604.00923).
    """
    log = episodes.log
    if np.isnan(log.reward).any():
        raise DataError("a row has no reward", "leave out or fill rows nothing came back for")
    rho = _products(episodes, importance_weights(log, target))
    before = np.concatenate([np.ones((len(rho), 1)), rho[:, :-1]], axis=1)
    taken = q_hat[np.arange(len(log)), log.action]
    residual = episodes.laid_out(log.reward - taken, empty=0.0)
    expected = episodes.laid_out(np.einsum("na,na->n", target, q_hat), empty=0.0)
    discount = gamma ** np.arange(rho.shape[1])
    total = (rho * residual + before * expected) @ discount
    return Terms(total[None], np.ones((1, len(total))), episodes.user, rho[:, -1])


def _products(episodes: Episodes, weight: FloatArray) -> FloatArray:
    """[E, T] weights of each episode multiplied up to and with each step."""
    return np.asarray(np.cumprod(episodes.laid_out(weight, empty=1.0), axis=1))
