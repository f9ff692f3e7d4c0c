"""What a message's emotions add to its words when somebody is not known yet."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from rapport.personas.model import Emotions, PersonaModel

FloatArray = NDArray[np.float32]
RealArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PENALTY = 1e-3
_ROUNDS = 200


def with_emotions(
    model: PersonaModel, turn_vectors: FloatArray, personas: IntArray, emotions: FloatArray
) -> PersonaModel:
    """The model with evidence of emotions beside that of words.

    Multinomial regression of the persona on a turn's emotions, on top of what the model says of
    its words (an offset), with a ridge: emotions that say nothing new get no weight.

    Args:
        model: K personas.
        turn_vectors: [N, D] turns of assigned users.
        personas: [N] index of each turn's user's persona.
        emotions: [N, M] emotion probabilities of the turns.
    """
    seen = emotions.astype(np.float64)
    mean = seen.mean(axis=0)
    kinds = len(model.names)
    if kinds == 1:
        return model
    offset = model.log_prior + model.text_evidence(turn_vectors, np.ones(len(turn_vectors)))
    found = minimize(
        _loss,
        np.zeros(seen.shape[1] * kinds),
        args=(seen - mean, offset, np.eye(kinds)[personas]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ROUNDS},
    )
    weights = found.x.reshape(seen.shape[1], kinds)
    return replace(model, emotions=Emotions(mean, weights))


def _loss(
    flat: RealArray, seen: RealArray, offset: RealArray, truth: RealArray
) -> tuple[float, RealArray]:
    """Penalised log loss a turn, and its gradient."""
    weights = flat.reshape(seen.shape[1], truth.shape[1])
    log_probability = log_softmax(offset + seen @ weights, axis=1)
    loss = -(log_probability * truth).sum() / len(seen) + 0.5 * _PENALTY * (weights**2).sum()
    slope = seen.T @ (np.exp(log_probability) - truth) / len(seen) + _PENALTY * weights
    return float(loss), slope.reshape(-1)
