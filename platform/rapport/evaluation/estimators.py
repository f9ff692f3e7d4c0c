"""Off-policy estimators: the value of a target policy from another policy's log.

Notation: row i has action a_i, reward r_i and propensity e_i; the target gives it the probability
pi_i(a_i), so its importance weight is `w_i = min(pi_i(a_i) / e_i, clip)`; `c_i` is the row's own
weight (1 unless silence is corrected for); q_i(a) is a model's predicted reward.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.intervals import DEFAULT, Bootstrap, Estimate, FloatArray, Terms, estimate

UNCLIPPED = float("inf")
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Log:
    """N logged decisions of which every array holds one entry."""

    action: NDArray[np.intp]
    """[N] index of the arm taken."""
    reward: FloatArray
    """[N] in [-1, 1]; nan where nothing came back."""
    propensity: FloatArray
    """[N] chance the logging policy gave the arm it took, in (0, 1]."""
    user: NDArray[Any]
    """[N] label of the user; rows of one user are not independent."""
    row_weight: FloatArray | None = None
    """[N] how much a row stands for, > 0; 1 each where absent."""
    probabilities: FloatArray | None = None
    """[N, A] logged probability of every arm; a row of nan where only the propensity is known."""

    def __post_init__(self) -> None:
        sizes = {len(self.action), len(self.reward), len(self.propensity), len(self.user)}
        if len(sizes) != 1:
            raise DataError(f"log arrays have {sizes} rows", "give one entry a decision")
        if not (np.isfinite(self.propensity).all() and (self.propensity > 0).all()):
            raise DataError("a logged action has propensity 0 or none", "leave such rows out")

    def __len__(self) -> int:
        return len(self.action)

    @property
    def weight(self) -> FloatArray:
        """[N] `row_weight`, or ones."""
        return np.ones(len(self)) if self.row_weight is None else self.row_weight

    def rows(self, keep: NDArray[Any]) -> "Log":
        """The log of some rows, by mask or index."""
        arrays = {name: value[keep] for name, value in vars(self).items() if value is not None}
        return Log(**arrays)

    def rewarded(self, reward: FloatArray) -> "Log":
        """The same decisions with other rewards."""
        return replace(self, reward=reward)


def importance_weights(log: Log, target: FloatArray, *, clip: float = UNCLIPPED) -> FloatArray:
    """[N] ratio of the target's probability of the logged action to its propensity.

    Args:
        log: N decisions.
        target: [N, A] action probabilities of the policy under study; rows sum to 1.
        clip: Largest weight kept, > 0. Lower is steadier and more biased.

    Raises:
        DataError: The rows of `target` are not distributions over the log's actions.
    """
    if target.shape[0] != len(log) or (len(log) and int(log.action.max()) >= target.shape[1]):
        raise DataError(f"target has shape {target.shape}", "give one row of arms a decision")
    if target.min(initial=0.0) < 0.0:
        raise DataError("a target probability is negative", "normalise each row")
    # einsum: numpy sums short rows ten times slower.
    if not (np.abs(np.einsum("na->n", target) - 1.0) <= _SUM_TOLERANCE).all():
        raise DataError("target probabilities do not sum to 1", "normalise each row")
    return np.minimum(target[np.arange(len(log)), log.action] / log.propensity, clip)


@dataclass(frozen=True)
class Crossing:
    """A log and a target policy put together once, for every estimator to share.

    Each method is one estimator, as terms to resample; `q_hat` [N, A] must come from a model of
    other users' rows, and is needed where a method says so.
    """

    log: Log
    target: FloatArray
    """[N, A] action probabilities of the policy under study; rows sum to 1."""
    q_hat: FloatArray | None = None
    """[N, A] predicted reward of every action."""

    @cached_property
    def weight(self) -> FloatArray:
        """[N] unclipped importance weights."""
        return importance_weights(self.log, self.target)

    @cached_property
    def expected(self) -> FloatArray:
        """[N] reward the model expects of the target."""
        return _expected(self.target, self._model)

    @cached_property
    def residual(self) -> FloatArray:
        """[N] reward less what the model expected of the action taken."""
        return _residual(self.log, self._model)

    def ips(self, *, clip: float = UNCLIPPED) -> Terms:
        """Inverse propensity score, `mean(w r)`: unbiased unclipped, high variance.

        Clipped it is steadier and biased towards 0.

        Source: Horvitz & Thompson, JASA 1952; clipped: Ionides, JCGS 2008.
        """
        weight = self._clipped(clip)
        return _terms(self.log, [(weight * self.log.reward, None)], weight)

    def snips(self, *, clip: float = UNCLIPPED) -> Terms:
        """Self-normalised IPS, `sum(w r) / sum(w)`: consistent, unmoved by a shift of the reward.

        Source: Swaminathan & Joachims, NeurIPS 2015.
        """
        weight = self._clipped(clip)
        return _terms(self.log, [(weight * self.log.reward, weight)], weight)

    def direct(self) -> Terms:
        """Direct method, `mean(sum_a pi(a) q(a))`: no variance of weights, all bias of the model.

        Source: Dudik, Langford & Li, ICML 2011 (arXiv:1103.4601).
        """
        return _terms(self.log, [(self.expected, None)], self.weight)

    def dr(self, *, clip: float = UNCLIPPED) -> Terms:
        """Doubly robust: the direct method plus the mean weighted residual of its model.

        Unclipped it is consistent when either the model or the propensities are right.

        Source: Dudik, Langford & Li, ICML 2011 (arXiv:1103.4601).
        """
        weight = self._clipped(clip)
        return _terms(self.log, [(self.expected + weight * self.residual, None)], weight)

    def sndr(self, *, clip: float = UNCLIPPED) -> Terms:
        """Self-normalised doubly robust: the residual's mean is divided by the mean weight.

        Source: Thomas & Brunskill, ICML 2016 (weighted doubly robust, one step).
        """
        weight = self._clipped(clip)
        return _terms(self.log, [(self.expected, None), (weight * self.residual, weight)], weight)

    def switch_dr(self, *, threshold: float) -> Terms:
        """Doubly robust where the weight is at most `threshold`, the direct method elsewhere.

        A higher threshold trusts the model less: infinite is doubly robust, 0 the direct method
        (up to actions the target never takes, which correct nothing).

        Source: Wang, Agarwal & Dudik, ICML 2017 (arXiv:1612.01205), with DR below the threshold.
        """
        weight = np.where(self.weight <= threshold, self.weight, 0.0)
        return _terms(self.log, [(self.expected + weight * self.residual, None)], weight)

    def _clipped(self, clip: float) -> FloatArray:
        return self.weight if clip == UNCLIPPED else np.minimum(self.weight, clip)

    @property
    def _model(self) -> FloatArray:
        if self.q_hat is None:
            raise DataError("there is no q_hat", "give predicted rewards, or leave the model out")
        if self.q_hat.shape != self.target.shape:
            raise DataError(
                f"q_hat has shape {self.q_hat.shape}, target {self.target.shape}",
                "predict the reward of every action of every row",
            )
        return self.q_hat


def ips_terms(log: Log, target: FloatArray, *, clip: float = UNCLIPPED) -> Terms:
    """Terms of `Crossing.ips`."""
    return Crossing(log, target).ips(clip=clip)


def snips_terms(log: Log, target: FloatArray, *, clip: float = UNCLIPPED) -> Terms:
    """Terms of `Crossing.snips`."""
    return Crossing(log, target).snips(clip=clip)


def direct_terms(log: Log, target: FloatArray, q_hat: FloatArray) -> Terms:
    """Terms of `Crossing.direct`."""
    return Crossing(log, target, q_hat).direct()


def dr_terms(log: Log, target: FloatArray, q_hat: FloatArray, *, clip: float = UNCLIPPED) -> Terms:
    """Terms of `Crossing.dr`."""
    return Crossing(log, target, q_hat).dr(clip=clip)


def sndr_terms(
    log: Log, target: FloatArray, q_hat: FloatArray, *, clip: float = UNCLIPPED
) -> Terms:
    """Terms of `Crossing.sndr`."""
    return Crossing(log, target, q_hat).sndr(clip=clip)


def switch_dr_terms(log: Log, target: FloatArray, q_hat: FloatArray, *, threshold: float) -> Terms:
    """Terms of `Crossing.switch_dr`."""
    return Crossing(log, target, q_hat).switch_dr(threshold=threshold)


def logging_terms(log: Log) -> Terms:
    """What the logging policy itself earned: the mean reward."""
    return _terms(log, [(log.reward, None)], np.ones(len(log)))


def ips(log: Log, target: FloatArray, by: Bootstrap = DEFAULT) -> Estimate:
    """Inverse propensity score estimate."""
    return estimate(ips_terms(log, target), by)


def clipped(log: Log, target: FloatArray, by: Bootstrap = DEFAULT, *, clip: float) -> Estimate:
    """IPS with weights cut at `clip`: biased towards 0, steadier."""
    return estimate(ips_terms(log, target, clip=clip), by)


def snips(
    log: Log, target: FloatArray, by: Bootstrap = DEFAULT, *, clip: float = UNCLIPPED
) -> Estimate:
    """Self-normalised IPS estimate."""
    return estimate(snips_terms(log, target, clip=clip), by)


def direct_method(
    log: Log, target: FloatArray, q_hat: FloatArray, by: Bootstrap = DEFAULT
) -> Estimate:
    """Direct method estimate; `q_hat` [N, A] must come from other users' rows."""
    return estimate(direct_terms(log, target, q_hat), by)


def doubly_robust(
    log: Log,
    target: FloatArray,
    q_hat: FloatArray,
    by: Bootstrap = DEFAULT,
    *,
    clip: float = UNCLIPPED,
) -> Estimate:
    """Doubly robust estimate; `q_hat` [N, A] must come from other users' rows."""
    return estimate(dr_terms(log, target, q_hat, clip=clip), by)


def switch_doubly_robust(
    log: Log,
    target: FloatArray,
    q_hat: FloatArray,
    by: Bootstrap = DEFAULT,
    *,
    threshold: float,
) -> Estimate:
    """SWITCH-DR estimate; `q_hat` [N, A] from other users' rows."""
    return estimate(switch_dr_terms(log, target, q_hat, threshold=threshold), by)


def self_normalised_doubly_robust(
    log: Log,
    target: FloatArray,
    q_hat: FloatArray,
    by: Bootstrap = DEFAULT,
    *,
    clip: float = UNCLIPPED,
) -> Estimate:
    """Self-normalised doubly robust estimate; `q_hat` [N, A] from other users' rows."""
    return estimate(sndr_terms(log, target, q_hat, clip=clip), by)


Estimator = Callable[[Log, FloatArray], Terms]
"""An estimator with its own settings bound: log and target in, terms out."""


def snips_gain_terms(log: Log, target: FloatArray, *, clip: float = UNCLIPPED) -> Terms:
    """Paired difference of the SNIPS estimate to what the logging policy earned.

    Rows on which both policies agree weigh 1 and cancel, up to the shift of the mean.
    """
    return snips_terms(log, target, clip=clip).minus(logging_terms(log))


def dr_gain_terms(
    log: Log, target: FloatArray, q_hat: FloatArray, *, clip: float = UNCLIPPED
) -> Terms:
    """Paired difference of two doubly robust values, the target's and the logging policy's.

    `mean(sum_a (pi(a) - b(a)) q(a) + (w - 1) (r - q))` with the logged probabilities b: a row on
    which both policies agree adds exactly 0, so only what a candidate changes makes it uncertain.
    A row without logged probabilities takes `q` of its own action for `sum_a b(a) q(a)`, which
    has the same mean and leaves the spread of q in.

    Source: Dudik, Langford & Li, ICML 2011 (arXiv:1103.4601), for each of the two policies.
    """
    weight = importance_weights(log, target, clip=clip)
    change = _expected(target, q_hat) - _expected_of_logging(log, q_hat)
    gain = change + (weight - 1.0) * _residual(log, q_hat)
    return _terms(log, [(gain, None)], weight)


Ratio = tuple[FloatArray, FloatArray | None]
"""Numerator [N] and denominator [N] of a mean over rows; without one, rows count 1 each."""


def _terms(log: Log, ratios: Sequence[Ratio], weight: FloatArray) -> Terms:
    if np.isnan(log.reward).any():
        raise DataError("a row has no reward", "leave out or fill rows nothing came back for")
    row = log.row_weight
    # A million ones need not be stored, nor a single row copied.
    ones = np.broadcast_to(np.float64(1.0), len(log))
    above = _stacked([numerator for numerator, _ in ratios])
    below = _stacked([ones if denominator is None else denominator for _, denominator in ratios])
    if row is None:
        return Terms(above, below, log.user, weight)
    return Terms(row * above, row * below, log.user, row * weight)


def _stacked(rows: Sequence[FloatArray]) -> FloatArray:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)


def _expected(target: FloatArray, q_hat: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("na,na->n", target, q_hat))


def _expected_of_logging(log: Log, q_hat: FloatArray) -> FloatArray:
    taken = q_hat[np.arange(len(log)), log.action]
    if log.probabilities is None:
        return np.asarray(taken)
    expected = _expected(log.probabilities, q_hat)
    return np.where(np.isnan(expected), taken, expected)


def _residual(log: Log, q_hat: FloatArray) -> FloatArray:
    return log.reward - q_hat[np.arange(len(log)), log.action]
