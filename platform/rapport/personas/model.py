"""The persona model: who somebody is likely to be, from few turns or many."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax

from rapport.errors import DataError
from rapport.personas.subspace import projected
from rapport.users.features import habits

RealArray = NDArray[np.float64]
FloatLike = NDArray[np.floating]

_ARRAYS, _TABLE, _STATED = "model.safetensors", "personas.parquet", "personas.json"
_HABIT_TURNS = 3.0
"""Turns at which what a user did counts half as much as it will."""


@dataclass(frozen=True)
class Habits:
    """Linear evidence of how users behave: `(habits - mean) @ weights + bias`, [N, K] in nats.

    `population` [F] counts everybody is drawn to, `mean` [H], `weights` [H, K], `bias` [K].
    """

    population: RealArray
    mean: RealArray
    weights: RealArray
    bias: RealArray

    def evidence(self, features: FloatLike, n: RealArray) -> RealArray:
        """[N, K] from features [N, F] of users with n [N] turns; 0 where n is 0."""
        centred = habits(features.astype(np.float32), self.population) - self.mean
        known = n / (n + _HABIT_TURNS)
        return np.asarray((centred @ self.weights + self.bias) * known[:, None])


@dataclass(frozen=True)
class Emotions:
    """Linear evidence of a message's emotions: `(emotion - mean) @ weights`, [N, K] in nats."""

    mean: RealArray
    weights: RealArray

    def evidence(self, emotion: FloatLike) -> RealArray:
        """[N, K] from emotion probabilities [N, M]."""
        return np.asarray((emotion.astype(np.float64) - self.mean) @ self.weights)


@dataclass(frozen=True)
class PersonaModel:
    """K personas as Gaussians in the space where turns of one user scatter by I.

    A mean z of n turns of somebody in persona k has covariance `(spread + 1 / n) I`, so that
    `log P(k | z, n) = log prior_k + n / (1 + n * spread) * (z . c_k - |c_k|^2 / 2) / temperature`,
    plus the evidence of habits and of the current message's emotions. One matrix product over
    [D, d] a call; holds no user.

    Attributes:
        names: K persona ids.
        origin: [D].
        projection: [D, d].
        centroids: [K, d].
        log_prior: [K].
        spread: Variance of users about their centroid, >= 0, turns at infinity.
        temperature: > 0, fitted on held-out users.
        users: [K] users of the fit.
        habits: None when fitted without events.
        emotions: None until `rapport.personas.emotion.with_emotions`.
        encoder_id: Text encoder whose vectors it reads.
        found: How it was found: dimensions, ratios, the scores of each k.
    """

    names: tuple[str, ...]
    origin: RealArray
    projection: RealArray
    centroids: RealArray
    log_prior: RealArray
    spread: float
    temperature: float
    users: NDArray[np.int64]
    habits: Habits | None = None
    emotions: Emotions | None = None
    encoder_id: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Content hash: 12 hex digits over every array and name."""
        digest = hashlib.sha256(json.dumps(self.names).encode())
        for name, array in sorted(_arrays(self).items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def posterior(
        self,
        mean: FloatLike,
        n: FloatLike,
        features: FloatLike | None = None,
        emotion: FloatLike | None = None,
    ) -> RealArray:
        """Probability of each persona [N, K]; rows sum to 1. The prior where n is 0.

        Args:
            mean: [N, D] mean of a user's turn vectors, anything where n is 0.
            n: [N] effective number of turns in it, >= 0.
            features: [N, F] behaviour, as in the user vector.
            emotion: [N, 28] probabilities of the current message.
        """
        turns = np.asarray(n, np.float64)
        logits = self.log_prior + self.text_evidence(mean, turns)
        if self.habits is not None and features is not None:
            logits = logits + self.habits.evidence(features, turns)
        if self.emotions is not None and emotion is not None:
            logits = logits + self.emotions.evidence(emotion)
        return np.asarray(np.exp(log_softmax(logits, axis=1)))

    def text_evidence(self, mean: FloatLike, n: RealArray) -> RealArray:
        """What the words of n turns say, [N, K] in nats up to a constant a row."""
        z = projected(np.asarray(mean), origin=self.origin, projection=self.projection)
        fit = z @ self.centroids.T - 0.5 * (self.centroids**2).sum(axis=1)
        precision = n / (1.0 + n * self.spread) / self.temperature
        return np.asarray(precision[:, None] * fit)

    def renamed(self, names: Sequence[str]) -> "PersonaModel":
        """The same personas under other ids."""
        return replace(self, names=tuple(names))

    def save(self, folder: Path) -> None:
        """Write `personas.parquet`, `personas.json` and the arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        table = {"persona_id": self.names, "users": self.users, "share": np.exp(self.log_prior)}
        pl.DataFrame(table).write_parquet(folder / _TABLE)
        arrays = {name: np.ascontiguousarray(value) for name, value in _arrays(self).items()}
        save_file(arrays, folder / _ARRAYS)
        stated = {
            "version": self.version,
            "spread": self.spread,
            "temperature": self.temperature,
            "encoder_id": self.encoder_id,
            "found": self.found,
        }
        (folder / _STATED).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "PersonaModel":
        """Read a model back.

        Raises:
            DataError: No persona model lies there, or its parts do not fit together.
        """
        try:
            table = pl.read_parquet(folder / _TABLE)
            arrays = load_file(folder / _ARRAYS)
            stated = json.loads((folder / _STATED).read_text(encoding="utf-8"))
            model = cls(
                names=tuple(table["persona_id"]),
                users=table["users"].to_numpy(),
                habits=_part(Habits, arrays, "habits."),
                emotions=_part(Emotions, arrays, "emotions."),
                origin=arrays["origin"],
                projection=arrays["projection"],
                centroids=arrays["centroids"],
                log_prior=arrays["log_prior"],
                spread=stated["spread"],
                temperature=stated["temperature"],
                encoder_id=stated["encoder_id"],
                found=stated["found"],
            )
        except (OSError, ValueError, KeyError, SafetensorError, pl.exceptions.PolarsError) as error:
            raise DataError(f"no personas in {str(folder)!r}", "run segment_personas") from error
        if model.version != stated["version"]:
            raise DataError(f"the personas in {str(folder)!r} were changed", "run segment_personas")
        return model


def margins(posterior: RealArray) -> RealArray:
    """How sure assignments are [N]: first minus second probability, 1 where K is 1."""
    if posterior.shape[1] == 1:
        return np.ones(len(posterior))
    top = np.sort(posterior, axis=1)
    return np.asarray(top[:, -1] - top[:, -2])


def _arrays(model: PersonaModel) -> dict[str, RealArray]:
    arrays = {
        "origin": model.origin,
        "projection": model.projection,
        "centroids": model.centroids,
        "log_prior": model.log_prior,
        "scales": np.array([model.spread, model.temperature]),
    }
    for prefix, part in (("habits.", model.habits), ("emotions.", model.emotions)):
        if part is not None:
            arrays |= {prefix + name: value for name, value in vars(part).items()}
    return arrays


def _part(kind: type[Any], arrays: Mapping[str, RealArray], prefix: str) -> Any:  # noqa: ANN401
    found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return kind(**found) if found else None
