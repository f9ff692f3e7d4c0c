"""`nlp`: how well an arm fits what was just said, as good supporters would have chosen.

P(arm | context) of a multinomial logistic regression, fitted to decisions whose reward lies above
the median, weighted by how far, and by the inverse of their propensity: what went well, not what
the logging policy liked to do. Calibrated by a temperature on users it did not see.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from rapport.config import Config
from rapport.evaluation.calibration import Bin, calibration
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import (
    NO_ARM,
    TURN_CAP,
    BoolArray,
    Float32Array,
    FloatArray,
    Layout,
    Situation,
)
from rapport.policy.reward_model import FOLDS, fold_of

NLP_FLOOR = 1e-3
CALIBRATION_FILE = "calibration.json"
_WEIGHT_CAP = 20.0  # a row whose propensity was lower counts as if it had been .05
_TEMPERATURES = np.geomspace(0.5, 4.0, 19)
_BLOCKED = -1e9


class ContextSettings(Config):
    """How the context model is trained."""

    dimensions: int = 16
    """Principal components kept of the message vector."""
    penalty: float = 3e-3
    """L2 weight; higher pulls towards equal shares."""
    steps: int = 40


@dataclass(frozen=True)
class ContextModel:
    """Projection, coefficients and temperature; plain arrays."""

    layout: Layout
    weights: Mapping[str, FloatArray]
    """mean [C], components [C, P], scale [P], coefficients [X, A], temperature []."""
    calibration: tuple[Bin, ...] = ()
    """What it said of the arms of held-out users' good replies, and how often each was the one."""

    def nlp(self, situation: Situation, mask: BoolArray) -> FloatArray:
        """[N, A] P(arm | context) among the arms in `mask`, in [.001, 1]; the floor outside it."""
        logit = self._inputs(situation) @ self.weights["coefficients"]
        share = _masked_softmax(logit / self.weights["temperature"], mask=mask)
        return np.maximum(share, NLP_FLOOR)

    def terms(self, situation: Situation, neutral: Situation) -> dict[str, FloatArray]:
        """What each thing that is known adds to an arm's logit, in nats; all but the words.

        `always` is what a neutral situation gives. With the words' own part, which the caller has
        as what is left, the terms of a row sum to `log P(arm | context)` but for a constant.

        Args:
            situation: N rows; their messages are not looked at.
            neutral: N rows in which nothing is known.

        Returns:
            `always`, `mood`, `curve`, `turn` and `previous_arm`, each [N, A].
        """
        now, bare = _known(self.layout, situation), _known(self.layout, neutral)
        after_agents = 4 + len(self.layout.agents)
        columns = {
            "mood": slice(1, 2),
            "curve": slice(2, 3),
            "turn": slice(3, 4),
            "previous_arm": slice(after_agents, now.shape[1]),
        }
        logits = self.weights["coefficients"][: now.shape[1]] / self.weights["temperature"]
        told = {name: (now - bare)[:, part] @ logits[part] for name, part in columns.items()}
        return {"always": bare @ logits, **told}

    def _inputs(self, situation: Situation) -> FloatArray:
        return _inputs(self.layout, situation, self.weights)


def fit_context_model(data: PolicyDataset, settings: ContextSettings | None = None) -> ContextModel:
    """Fit and calibrate; about 2 s for 10,000 decisions. With no good row all arms fit alike."""
    settings = settings or ContextSettings()
    arrays = _projection(data.situation.message, settings.dimensions)
    rows = np.arange(len(data))
    fits = data.reported & (data.action != NO_ARM) & data.mask[rows, data.action]
    data = data.rows(fits)
    weight = _goodness(data)
    x = _inputs(data.layout, data.situation, arrays)
    fold = fold_of(data.user)
    held = fold == fold.min(initial=FOLDS)  # the first there is: a bench leaves out one in turn
    first = _fit(x[~held], data.rows(~held), weight[~held], settings=settings)
    temperature = _temperature(x[held] @ first, data.rows(held), weight=weight[held])
    arrays["coefficients"] = _fit(x, data, weight, settings=settings)
    arrays["temperature"] = np.asarray(temperature)
    kept = data.rows(held)
    said = _masked_softmax(x[held] @ first / temperature, mask=kept.mask)
    return ContextModel(data.layout, arrays, _curve(said, kept, weight=weight[held]))


def _curve(said: FloatArray, data: PolicyDataset, *, weight: FloatArray) -> tuple[Bin, ...]:
    """Every offered arm of every row is one prediction; it counts as the row does."""
    taken = np.zeros(data.mask.shape)
    taken[np.arange(len(data)), data.action] = 1.0
    rows, _ = np.nonzero(data.mask)
    return calibration(said[data.mask], taken[data.mask], weight=weight[rows])


def _goodness(data: PolicyDataset) -> FloatArray:
    # The median, not 0: half the rows teach, however kind or harsh this log's ratings are.
    middle = np.median(data.reward) if len(data) else 0.0
    above = np.maximum(data.reward - middle, 0.0)
    weight = above * np.minimum(1.0 / data.propensity, _WEIGHT_CAP)
    total = weight.sum()
    return np.asarray(weight * (len(data) / total) if total > 0 else weight)


def _projection(message: Float32Array, dimensions: int) -> dict[str, FloatArray]:
    mean = message.mean(axis=0, dtype=np.float64) if len(message) else np.zeros(message.shape[1])
    centred = message - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / max(len(message), 1))
    kept = min(dimensions, len(values))
    spread = np.sqrt(np.maximum(values[::-1][:kept], 1e-12))
    return {"mean": mean, "components": vectors[:, ::-1][:, :kept].copy(), "scale": spread}


def _inputs(layout: Layout, situation: Situation, arrays: Mapping[str, FloatArray]) -> FloatArray:
    reduced = (situation.message - arrays["mean"]) @ arrays["components"] / arrays["scale"]
    return np.concatenate([_known(layout, situation), np.clip(reduced, -4.0, 4.0)], axis=1)


def _known(layout: Layout, situation: Situation) -> FloatArray:
    """[N, 4 + agents + arms + 1] all inputs but the words; they come first."""
    columns = [
        np.ones((len(situation), 1)),
        situation.sentiment[:, None],
        situation.curve[:, None],
        (np.minimum(situation.turn_index, TURN_CAP) / TURN_CAP)[:, None],
        np.eye(len(layout.agents))[situation.agent],
        # NO_ARM is -1, the last row: a conversation's first reply has a column of its own.
        np.eye(len(layout.arms) + 1)[situation.previous_arm],
    ]
    return np.concatenate(columns, axis=1)


def _fit(
    x: FloatArray, data: PolicyDataset, weight: FloatArray, *, settings: ContextSettings
) -> FloatArray:
    inputs, taken = torch.from_numpy(x), torch.from_numpy(data.action)
    row_weight, blocked = torch.from_numpy(weight), torch.from_numpy(~data.mask)
    shape = x.shape[1], len(data.layout.arms)
    coefficients = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [coefficients], max_iter=settings.steps, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        solver.zero_grad()
        logit = (inputs @ coefficients).masked_fill(blocked, _BLOCKED)
        miss = torch.nn.functional.cross_entropy(logit, taken, reduction="none")
        total = (row_weight * miss).sum() / max(len(x), 1)
        total = total + settings.penalty * (coefficients**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(coefficients.detach().numpy())


def _temperature(logit: FloatArray, data: PolicyDataset, *, weight: FloatArray) -> float:
    rows = np.arange(len(data))
    losses = [
        -(weight * np.log(_masked_softmax(logit / t, mask=data.mask)[rows, data.action])).sum()
        for t in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _masked_softmax(logit: FloatArray, *, mask: BoolArray) -> FloatArray:
    logit = np.where(mask, logit, -np.inf)
    raised = np.exp(logit - logit.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
