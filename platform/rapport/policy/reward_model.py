"""The expected reward of an arm in a state: three small networks, each blind to a third of users.

`q = tanh(linear(x) + relu-layer of 32(x))` on `features`; serving averages the three in NumPy.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rapport.config import Config
from rapport.errors import TooLittleDataError
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Layout,
    feature_matrix,
)

FOLDS = 3
MIN_ROWS = 60
SCORE_FLOOR = 1e-6
_CHUNK = 2048  # rows whose features are held at once, about 11 MB


class RewardSettings(Config):
    """How the reward model is trained."""

    learner: Literal["reward_model"] = "reward_model"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    """Pull of all weights to 0; higher trusts the data less."""
    epochs: int = 12
    hidden: int = 32
    batch: int = 512


@dataclass(frozen=True)
class RewardModel:
    """Trained networks of all folds; plain arrays, so any number of replicas agree."""

    layout: Layout
    weights: Mapping[str, Float32Array]
    """linear [F, D], bias [F], hidden [F, D, H], hidden_bias [F, H], out [F, H]."""

    def q(self, state: Float32Array, shares: Float32Array | None = None) -> FloatArray:
        """[N, M] expected reward in (-1, 1), the mean over folds.

        Args:
            state: [N, S].
            shares: Arms that candidates show, as in `feature_matrix`; absent, all A arms.
        """
        return np.asarray(self.q_of_folds(state, shares).mean(axis=0))

    def q_held_out(self, state: Float32Array, user: NDArray[np.str_]) -> FloatArray:
        """[N, A] expected reward from the networks that never saw the row's user."""
        every = self.q_of_folds(state)
        return np.asarray(every[fold_of(user), np.arange(len(state))])

    def q_of_folds(self, state: Float32Array, shares: Float32Array | None = None) -> FloatArray:
        """[F, N, M] expected reward of each network."""
        parts = [
            self._forward(
                feature_matrix(
                    self.layout,
                    state[start : start + _CHUNK],
                    shares[start : start + _CHUNK] if shares is not None and shares.ndim == 3
                    else shares,
                )
            )
            for start in range(0, max(len(state), 1), _CHUNK)
        ]  # fmt: skip
        return np.concatenate(parts, axis=1)

    def rec(
        self, state: Float32Array, mask: BoolArray, shares: Float32Array | None = None
    ) -> FloatArray:
        """[N, M] `(1 + q) / 2` in (0, 1]; the floor outside `mask`."""
        rec = np.clip((1.0 + self.q(state, shares)) / 2.0, SCORE_FLOOR, 1.0)
        return np.where(mask, rec, SCORE_FLOOR)

    def _forward(self, x: Float32Array) -> FloatArray:
        w = self.weights
        flat = x.reshape(-1, x.shape[-1])
        outputs = [
            np.tanh(
                flat @ w["linear"][fold]
                + np.maximum(flat @ w["hidden"][fold] + w["hidden_bias"][fold], 0.0)
                @ w["out"][fold]
                + w["bias"][fold]
            )
            for fold in range(len(w["bias"]))
        ]
        return np.stack(outputs).reshape(len(outputs), *x.shape[:2]).astype(np.float64)


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
    x = torch.from_numpy(taken_features(data))
    y = torch.from_numpy(data.reward.astype(np.float32))
    fold = torch.from_numpy(fold_of(data.user))
    sees = (fold[:, None] != torch.arange(FOLDS)[None, :]).float()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _Networks(x.shape[1], settings.hidden)
        _train(network, x, y, sees=sees, settings=settings)
    arrays = {name: value.detach().numpy().copy() for name, value in network.named_parameters()}
    return RewardModel(data.layout, arrays)


def taken_features(data: PolicyDataset) -> Float32Array:
    """[N, D] features of the arms taken, from the same function as serving's."""
    shares = np.eye(len(data.layout.arms), dtype=np.float32)[data.action][:, None, :]
    return np.ascontiguousarray(feature_matrix(data.layout, data.states, shares)[:, 0])


class _Networks(nn.Module):
    """All folds at once: one batched product instead of a loop over networks."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        scale = width**-0.5
        # The straight part starts at 0 and the bent one near it: unseen crossings predict the mean.
        self.linear = nn.Parameter(torch.zeros(FOLDS, width))
        self.bias = nn.Parameter(torch.zeros(FOLDS))
        self.hidden = nn.Parameter(torch.randn(FOLDS, width, hidden) * scale)
        self.hidden_bias = nn.Parameter(torch.zeros(FOLDS, hidden))
        self.out = nn.Parameter(torch.randn(FOLDS, hidden) * 0.1 * hidden**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, F] expected rewards."""
        bent = torch.relu(torch.einsum("bd,fdh->bfh", x, self.hidden) + self.hidden_bias)
        straight = x @ self.linear.T + self.bias
        return torch.tanh(straight + (bent * self.out).sum(dim=2))


def _train(
    network: _Networks,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    sees: torch.Tensor,
    settings: RewardSettings,
) -> None:
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * -(-len(x) // settings.batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=steps)
    for _ in range(settings.epochs):
        for index in torch.split(torch.randperm(len(x)), settings.batch):
            error = (network(x[index]) - y[index, None]) ** 2 * sees[index]
            loss = error.sum() / sees[index].sum().clamp(min=1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
