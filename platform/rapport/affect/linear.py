"""L2-regularised linear models with many outputs, fitted at once by L-BFGS."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.special import expit, log_softmax

Float32Array = NDArray[np.float32]
Features = Any
"""[N, D] float32, a scipy CSR matrix or a dense array."""
Loss = Callable[[Float32Array, Float32Array], tuple[Float32Array, Float32Array]]
"""(scores, targets) -> loss of each entry and its slope in the score; all four [N, K]."""

_REMEMBERED_STEPS = 5
"""Pairs of vectors L-BFGS keeps; each costs two arrays of the size of the weights."""


def each(scores: Float32Array, targets: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Logistic loss of K yes-or-no outputs; targets in [0, 1], a share where not certain."""
    return np.logaddexp(np.float32(0), scores) - targets * scores, expit(scores) - targets


def one_of(scores: Float32Array, targets: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Multinomial loss of one choice out of K; rows of the targets sum to 1."""
    log_probability = log_softmax(scores, axis=1)
    return -targets * log_probability, np.exp(log_probability) - targets


def fit_linear(
    features: Features,
    targets: Float32Array,
    *,
    loss: Loss,
    offset: Float32Array | None = None,
    l2: float,
    steps: int,
) -> tuple[Float32Array, Float32Array]:
    """Fit weights [D, K] and intercepts [K] that minimise the loss plus `l2 / 2 * |weights|^2`.

    Cost: one product with the features and one with their transpose a step. Stopped after `steps`
    it is regularised a little more; the result is the same in every run.

    Args:
        features: N rows.
        targets: [N, K], see the loss.
        loss: `each` or `one_of`.
        offset: [N, K] scores that the features add to, default 0.
        l2: Penalty, in units of one row's loss.
        steps: Most iterations.

    Source: Liu & Nocedal, Mathematical Programming 45, 1989.
    """
    size, outputs = features.shape[1], targets.shape[1]
    turned = features.T.tocsr() if sparse.issparse(features) else features.T

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        matrix, intercept = _parts(flat, size, outputs)
        scores = features @ matrix + intercept
        if offset is not None:
            scores = scores + offset
        value, gradient = loss(scores, targets)
        slope = np.concatenate([(turned @ gradient + l2 * matrix).ravel(), gradient.sum(axis=0)])
        penalty = l2 / 2 * float(np.vdot(matrix, matrix))
        return float(value.sum(dtype=np.float64)) + penalty, slope.astype(np.float64)

    found = optimize.minimize(
        objective,
        np.zeros((size + 1) * outputs),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "maxcor": _REMEMBERED_STEPS},
    )
    return _parts(found.x, size, outputs)


def _parts(flat: NDArray[np.float64], size: int, outputs: int) -> tuple[Float32Array, Float32Array]:
    values = flat.astype(np.float32)
    return values[: size * outputs].reshape(size, outputs), values[size * outputs :]
