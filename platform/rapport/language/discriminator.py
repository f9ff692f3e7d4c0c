"""How well a written reply fits its context: the `nlp` factor of mode `rerank`."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rapport.errors import TooLittleDataError
from rapport.evaluation.calibration import Bin, calibration

FEATURES = ("log_likelihood", "gain", "similarity")
"""Per-token log-likelihood of the reply given its context; its gain over the unconditional one;
cosine similarity of the two MiniLM vectors."""

MIN_PAIRS = 20
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReplyDiscriminator:
    """P(this reply was written for this context), a logistic model over three features.

    Fitted on true pairs against the same replies under other contexts, so with equal classes the
    output is calibrated for an even chance. Plain numbers: serving needs numpy alone.
    """

    weights: tuple[float, ...]
    intercept: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    auc: float
    """Share of held-out (true, other) pairs ranked right."""
    n: int
    """Pairs it was fitted on."""
    calibration: tuple[Bin, ...] = ()
    """What it said of the held-out pairs, and how many of them were true."""

    @classmethod
    def fit(cls, true: Floats, other: Floats, *, seed: int) -> "ReplyDiscriminator":
        """Fit on the features of true pairs and of mismatched pairs.

        Args:
            true: [N, 3] features of replies under their own contexts, columns as `FEATURES`.
            other: [N, 3] features of the same replies under another context.
            seed: Seeds the held-out third that `auc` and `calibration` are measured on.

        Raises:
            TooLittleDataError: Fewer than 20 pairs.
        """
        if len(true) < MIN_PAIRS:
            raise TooLittleDataError("reply discriminator", len(true), MIN_PAIRS)
        order = np.random.default_rng(seed).permutation(len(true))
        held, kept = order[: len(order) // 3], order[len(order) // 3 :]
        trial = _logistic(true[kept], other[kept])
        right, wrong = trial.predict(true[held]), trial.predict(other[held])
        final = _logistic(true, other)
        return replace(final, auc=_auc(right, wrong), calibration=_curve(right, wrong))

    def predict(self, features: Floats) -> Floats:
        """Score reply-context pairs: [M, 3] features in, [M] probabilities in (0, 1) out."""
        standard = (features - np.array(self.mean)) / np.array(self.scale)
        scores: Floats = expit(standard @ np.array(self.weights) + self.intercept)
        return np.clip(scores, 1e-4, 1 - 1e-4)

    def save(self, path: Path) -> None:
        """Write as one JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "ReplyDiscriminator":
        """Read what `save` wrote."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("weights", "mean", "scale"):
            values[name] = tuple(values[name])
        values["calibration"] = tuple(Bin(**each) for each in values.get("calibration", ()))
        return cls(**values)


def _logistic(true: Floats, other: Floats) -> ReplyDiscriminator:
    pairs = np.concatenate([true, other])
    mean, scale = pairs.mean(axis=0), pairs.std(axis=0) + 1e-9
    labels = np.repeat([1, 0], [len(true), len(other)])
    model = LogisticRegression(C=1.0).fit((pairs - mean) / scale, labels)
    return ReplyDiscriminator(
        weights=tuple(model.coef_[0].tolist()),
        intercept=float(model.intercept_[0]),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        auc=float("nan"),
        n=len(true),
    )


def _curve(true: Floats, other: Floats) -> tuple[Bin, ...]:
    came_true = np.repeat([1.0, 0.0], [len(true), len(other)])
    return calibration(np.concatenate([true, other]), came_true)


def _auc(true: Floats, other: Floats) -> float:
    above = (true[:, None] > other[None, :]).mean()
    ties = (true[:, None] == other[None, :]).mean()
    return float(above + ties / 2)
