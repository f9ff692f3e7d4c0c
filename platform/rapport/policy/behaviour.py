"""From two scores to exact probabilities, and from probabilities to a draw that replays."""

from dataclasses import asdict, dataclass

import numpy as np

from rapport.errors import ConfigError, DataError
from rapport.policy.features import BoolArray, FloatArray

SUM_TOLERANCE = 1e-12
DISTRESS = -0.8
"""Sentiment of a message at or below which nothing is left to chance."""


@dataclass(frozen=True)
class Behaviour:
    """The tempered product with a floor: `S = nlp^a * rec^b`, softmax of `log S / T`, mixed.

    `pi_i = (1 - epsilon) * softmax(log S / temperature)_i + epsilon / k` over the k safe arms.
    Larger a and b sharpen; temperature 0 and epsilon 0 give `argmax S`, the next best response.
    """

    a: float = 1.0
    b: float = 1.0
    temperature: float = 1.0
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if min(self.a, self.b, self.temperature) < 0 or not 0 <= self.epsilon <= 1:
            raise ConfigError(
                "behaviour", asdict(self), "a, b, temperature >= 0 and 0 <= epsilon <= 1"
            )

    def log_score(self, nlp: FloatArray, rec: FloatArray) -> FloatArray:
        """`log S`, any shape; nlp and rec in (0, 1]."""
        return np.asarray(self.a * np.log(nlp) + self.b * np.log(rec))

    def probabilities(
        self,
        nlp: FloatArray,
        rec: FloatArray,
        *,
        mask: BoolArray,
        safe: BoolArray | None = None,
        explore: BoolArray | None = None,
    ) -> FloatArray:
        """Probability of each candidate, in float64, exactly as it is sampled from and logged.

        An unsafe candidate takes part only where it scores above every safe one, so it is never
        drawn by chance alone. Where `explore` is False (distress, crisis, a protected user)
        nothing is left to chance: the best has probability 1, of equally good ones the first.

        Args:
            nlp: [N, M] in (0, 1] where `mask` holds.
            rec: [N, M] in (0, 1] where `mask` holds.
            mask: [N, M] candidates not vetoed; at least one a row.
            safe: [N, M] candidates safe to explore; all where absent.
            explore: [N] rows that may be explored on; all where absent.

        Returns:
            [N, M], 0 outside `mask`; rows sum to 1 within 1e-12.

        Raises:
            DataError: A row has no candidate left, or a score is not in (0, 1].
        """
        if not mask.any(axis=1).all():
            raise DataError(
                "a decision has no candidate left", "fall back before the policy is asked"
            )
        kept = _checked("nlp", nlp, mask=mask), _checked("rec", rec, mask=mask)
        log_score = np.where(mask, self.log_score(*kept), -np.inf)
        if safe is None:
            safe = mask
        else:
            safe = mask & safe
            log_score = _without_chancy(log_score, safe=safe)
        mixed = self._mixed(log_score, safe=safe)
        if explore is not None:
            mixed = np.where(explore[:, None], mixed, _first_best(log_score))
        # Divided once more: (1 - e) * softmax + e / k is 1 only up to rounding, and this is logged.
        exact: FloatArray = mixed / mixed.sum(axis=1, keepdims=True)
        assert np.abs(exact.sum(axis=1) - 1.0).max(initial=0.0) <= SUM_TOLERANCE
        return exact

    def _mixed(self, log_score: FloatArray, *, safe: BoolArray) -> FloatArray:
        drawn = _softmax(log_score, temperature=self.temperature)
        count = safe.sum(axis=1, keepdims=True)
        epsilon = self.epsilon * (count > 0)
        return np.asarray((1.0 - epsilon) * drawn + safe * (epsilon / np.maximum(count, 1)))


def draw(probability: FloatArray, seed: int) -> int:
    """Index drawn from one row of probabilities; the same row and seed always give the same.

    Inverse of the cumulative sum at one uniform number of PCG64. An entry of 0 is never drawn.

    Args:
        probability: [M] as logged, in logged order.
        seed: >= 0, the decision's `rng_seed`.
    """
    cumulative = np.cumsum(np.asarray(probability, dtype=np.float64))
    uniform = np.random.Generator(np.random.PCG64(seed)).random()
    index = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    # Rounding may push the last step below the sum: never run past the last possible entry.
    return min(index, int(np.flatnonzero(probability)[-1]))


def _checked(name: str, score: FloatArray, *, mask: BoolArray) -> FloatArray:
    kept = np.where(mask, score, 1.0)
    # Asked this way round, nan fails too.
    if not (kept.min(initial=1.0) > 0 and kept.max(initial=1.0) <= 1):
        raise DataError(f"{name} leaves (0, 1]", "floor and cap the score where it is made")
    return kept


def _without_chancy(log_score: FloatArray, *, safe: BoolArray) -> FloatArray:
    best_safe = np.where(safe, log_score, -np.inf).max(axis=1, keepdims=True)
    best = log_score.max(axis=1, keepdims=True)
    wins = (log_score == best) & (log_score > best_safe)
    return np.where(safe | wins, log_score, -np.inf)


def _first_best(log_score: FloatArray) -> FloatArray:
    return np.asarray(np.eye(log_score.shape[1])[log_score.argmax(axis=1)])


def _softmax(log_score: FloatArray, *, temperature: float) -> FloatArray:
    # Shifted by the best: powers of 64 at temperature .05 would underflow in every candidate.
    shifted = log_score - log_score.max(axis=1, keepdims=True)
    if temperature == 0:
        raised = (shifted == 0).astype(np.float64)
    else:
        raised = np.exp(shifted / temperature)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
