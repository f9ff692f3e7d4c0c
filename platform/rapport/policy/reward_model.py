"""The expected reward of an arm in a state: three small models, each blind to a third of users.

`q = tanh(linear(x) + relu-layer of 32(x))` on `features`: a straight part in closed form, and bends
as far as they hold for users they never saw. Serving averages the three in NumPy.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from rapport.errors import TooLittleDataError
from rapport.policy.bent import BentSettings, fit_bent, held_share
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Layout,
    crossing,
    feature_matrix,
)
from rapport.policy.learning import Learning, rounded
from rapport.policy.straight import fit_straight

FOLDS = 3
MIN_ROWS = 60
SCORE_FLOOR = 1e-6
Target = Literal["direct", "ips", "dr"]
TARGETS: tuple[Target, ...] = get_args(Target)
_WEIGHT_CAP = 20.0  # a row whose propensity was lower counts as if it had been .05
_MOST = 0.9  # mean reward beyond which the tanh would be bent too far to be straightened
# Networks by the folds they see: those that serve, then those that say how far bends hold.
_SEES = np.concatenate([~np.eye(FOLDS, dtype=bool), np.eye(FOLDS, dtype=bool)])
_CHUNK = 2048  # rows whose sums are held at once, about 10 MB


class RewardSettings(BentSettings):
    """How the reward model is trained; its straight part leaves nothing to set."""

    learner: Literal["reward_model"] = "reward_model"
    target: Target = "direct"
    """What is fitted: `direct` the rewards as they came; `ips` the same, rows weighted by the
    inverse of their propensity, for rare arms count like common ones; `dr` for every candidate the
    doubly robust reward, from a first model of users that the row's is not among."""


@dataclass(frozen=True)
class RewardModel:
    """Trained networks of all folds; plain arrays, so any number of replicas agree."""

    layout: Layout
    weights: Mapping[str, Float32Array]
    """linear [F, D], bias [F], hidden [F, D, H], hidden_bias [F, H], out [F, H]."""
    learning: Learning | None = None
    """How its training went; none in releases of before."""

    def q(self, state: Float32Array, shares: Float32Array | None = None) -> FloatArray:
        """[N, M] expected reward in (-1, 1), the mean over folds.

        Args:
            state: [N, S].
            shares: Arms that candidates show, as in `feature_matrix`; absent, all A arms.
        """
        return np.asarray(self.q_of_folds(state, shares).mean(axis=0))

    def q_held_out(self, data: PolicyDataset) -> FloatArray:
        """[N, M] expected rewards by the networks that never saw the row's user."""
        every = self.q_of_folds(data.states, data.shares)
        return np.asarray(every[fold_of(data.user), np.arange(len(data))])

    def q_of_folds(self, state: Float32Array, shares: Float32Array | None = None) -> FloatArray:
        """[F, N, M] expected reward of each network."""
        parts = [
            self._forward(
                state[start : start + _CHUNK],
                shares[start : start + _CHUNK] if shares is not None and shares.ndim == 3
                else shares,
            )
            for start in range(0, max(len(state), 1), _CHUNK)
        ]  # fmt: skip
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def rec(
        self, state: Float32Array, mask: BoolArray, shares: Float32Array | None = None
    ) -> FloatArray:
        """[N, M] `(1 + q) / 2` in (0, 1]; the floor outside `mask`."""
        return _rec(self.q(state, shares), mask=mask)

    def rec_held_out(self, data: PolicyDataset) -> FloatArray:
        """[N, M] `rec` by the networks that never saw the row's user."""
        return _rec(self.q_held_out(data), mask=data.mask)

    @cached_property
    def _blocks(self) -> "_Blocks":
        return _Blocks.of(self.layout, self.weights)

    def _forward(self, state: Float32Array, shares: Float32Array | None) -> FloatArray:
        w = self._blocks
        tables = (crossing(self.layout, state) @ w.crossed).reshape(len(state), *w.arm.shape)
        tables += w.arm
        summed = tables if shares is None else shares @ tables
        summed += (state @ w.state + w.bias)[:, None]
        bent = summed.shape[2] - w.out.shape[1]
        q = np.tanh(summed[..., bent:] + np.maximum(summed[..., :bent], 0.0) @ w.out)
        return q.transpose(2, 0, 1).astype(np.float64)


@dataclass(frozen=True)
class _Blocks:
    """The networks' first layers cut as `feature_matrix` is laid out, which then is never made.

    A state multiplies its part once for all candidates, so one decision costs a tenth of the
    product over [M, D]. G = F * H + F columns: every hidden unit, then every straight part.
    """

    state: Float32Array
    """[S, G]"""
    arm: Float32Array
    """[A, G]"""
    crossed: Float32Array
    """[C, A * G]"""
    bias: Float32Array
    """[G]"""
    out: Float32Array
    """[F * H, F] of each network's hidden units to itself."""

    @classmethod
    def of(cls, layout: Layout, w: Mapping[str, Float32Array]) -> "_Blocks":
        states, arms = len(layout.states), len(layout.arms)
        folds, hidden = w["out"].shape
        bent = w["hidden"].transpose(1, 0, 2).reshape(-1, folds * hidden)
        first = np.concatenate([bent, w["linear"].T], axis=1)
        own = np.eye(folds, dtype=np.float32)[:, None, :] * w["out"][:, :, None]
        return cls(
            state=first[:states],
            arm=first[states : states + arms],
            crossed=first[states + arms :].reshape(-1, arms * first.shape[1]),
            bias=np.concatenate([w["hidden_bias"].ravel(), w["bias"]]),
            out=own.reshape(folds * hidden, folds),
        )


def _rec(q: FloatArray, *, mask: BoolArray) -> FloatArray:
    return np.where(mask, np.maximum((1.0 + q) / 2.0, SCORE_FLOOR), SCORE_FLOOR)


def fold_of(user: NDArray[np.str_]) -> IntArray:
    """[N] fold of each user, by a hash of the key: the network of that fold never sees them."""
    names, code = np.unique(user, return_inverse=True)
    folds = [
        hashlib.blake2b(name.encode(), digest_size=4, person=b"fold").digest()[0] % FOLDS
        for name in names
    ]
    return np.asarray(np.array(folds, dtype=np.intp)[code])


def fit_reward_model(
    data: PolicyDataset, settings: RewardSettings | None = None, *, seed: int = 0
) -> RewardModel:
    """Fit the networks by squared error on the rows that reported, cross-fitted by user.

    About 2 s for 10,000 decisions on one core.

    Raises:
        TooLittleDataError: Fewer than 60 decisions reported a reward.
    """
    settings = settings or RewardSettings()
    data = data.rows(data.reported)
    if len(data) < MIN_ROWS:
        raise TooLittleDataError("decisions with a reward", len(data), MIN_ROWS)
    if settings.target != "dr":
        weight = _weights(data) if settings.target == "ips" else np.ones(len(data))
        examples = _Examples.of(taken_features(data), data.reward, weight, data.user)
        return _fitted(data.layout, examples, settings, seed=seed)
    first = fit_reward_model(data, settings.model_copy(update={"target": "direct"}), seed=seed)
    return _fitted(data.layout, _doubly_robust(data, first), settings, seed=seed)


def taken_features(data: PolicyDataset) -> Float32Array:
    """[N, D] features of what was taken, from the same function as serving's."""
    whole = feature_matrix(data.layout, data.states, data.shown[:, None, :])
    return np.ascontiguousarray(whole[:, 0])


class _Examples(NamedTuple):
    x: Float32Array
    """[E, D]"""
    y: FloatArray
    weight: FloatArray
    """[E] mean 1."""
    user: IntArray
    """[E] code of each user."""
    fold: IntArray

    @classmethod
    def of(
        cls, x: Float32Array, y: FloatArray, weight: FloatArray, user: NDArray[np.str_]
    ) -> "_Examples":
        return cls(x, y, weight, np.unique(user, return_inverse=True)[1], fold_of(user))

    def rows(self, keep: NDArray[Any]) -> "_Examples":
        return _Examples(*(each[keep] for each in self))


def _weights(data: PolicyDataset) -> FloatArray:
    weight = np.minimum(1.0 / data.propensity, _WEIGHT_CAP)
    return np.asarray(weight / weight.mean())


def _doubly_robust(data: PolicyDataset, first: RewardModel) -> _Examples:
    """Every candidate of every row, with what the first model expects plus the weighted residual.

    Source: E. H. Kennedy, Towards optimal doubly robust estimation of heterogeneous causal
    effects, 2023 (the DR-learner).
    """
    rows = np.arange(len(data))
    y = first.q_held_out(data)
    weight = np.minimum(1.0 / data.propensity, _WEIGHT_CAP)
    y[rows, data.action] += weight * (data.reward - y[rows, data.action])
    row, _ = np.nonzero(data.mask)
    x = feature_matrix(data.layout, data.states, data.shares)[data.mask]
    return _Examples.of(x, y[data.mask], np.ones(len(row)), data.user[row])


def _fitted(
    layout: Layout, examples: _Examples, settings: RewardSettings, *, seed: int
) -> RewardModel:
    seen = _SEES.T[examples.fold]
    linear, bias = _straight(examples, seen)
    straight = examples.x @ linear.T + bias
    weight = examples.weight[:, None]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        bent, moved, told = fit_bent(
            (examples.x, examples.y, straight),
            seen * weight,
            ~seen[:, :FOLDS] * weight,
            settings,
        )
    share = _held(examples, moved, examples.y[:, None] - np.tanh(straight))
    return RewardModel(
        layout,
        {
            "linear": linear[:FOLDS],
            "bias": bias[:FOLDS],
            "hidden": bent.hidden[:FOLDS].copy(),
            "hidden_bias": bent.hidden_bias[:FOLDS].copy(),
            "out": bent.out[:FOLDS] * share[:, None],
        },
        Learning("squared error", len(examples.y), *told, constant=_spread(examples)),
    )


def _straight(examples: _Examples, seen: BoolArray) -> tuple[Float32Array, Float32Array]:
    """[F, D] and [F] straight parts, turned to what goes into a tanh to first order."""
    linear = np.zeros((seen.shape[1], examples.x.shape[1]), dtype=np.float32)
    bias = np.zeros(seen.shape[1], dtype=np.float32)
    for place, keep in enumerate(seen.T):
        own = examples.rows(keep)
        if not len(own.y):  # all users are in the folds it is blind to
            continue
        found = fit_straight(own.x, own.y, own.weight, own.user)
        middle = np.clip(np.average(own.y, weights=own.weight), -_MOST, _MOST)
        slope = 1.0 / (1.0 - middle**2)
        linear[place] = slope * found.weights
        bias[place] = np.arctanh(middle) + slope * (found.bias - middle)
    return linear, bias


def _held(examples: _Examples, moved: FloatArray, left: FloatArray) -> Float32Array:
    """[FOLDS] share of each network's bends that holds, from networks that saw less than it did.

    The network blind to fold f is scaled by those of one fold each, tried on the other fold it
    sees: no reward of fold f has a part in it.
    """
    shares = np.zeros(FOLDS, dtype=np.float32)
    for blind in range(FOLDS):
        one, other = (fold for fold in range(FOLDS) if fold != blind)
        tried = [(examples.fold == of, FOLDS + by) for by, of in ((one, other), (other, one))]
        shares[blind] = held_share(
            np.concatenate([moved[rows, network] for rows, network in tried]),
            np.concatenate([left[rows, network] for rows, network in tried]),
            np.concatenate([examples.weight[rows] for rows, _ in tried]),
            np.concatenate([examples.user[rows] for rows, _ in tried]),
        )
    return shares


def _spread(examples: _Examples) -> float:
    mean = np.average(examples.y, weights=examples.weight)
    return rounded([float(np.average((examples.y - mean) ** 2, weights=examples.weight))])[0]
