"""What the straight part of the reward model cannot say: a small layer of bends, kept as it holds.

Networks learn what is left of the rewards by steps, and are then scaled by how far such a network
foretells users it never saw. Where all that is left is noise, little remains of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from rapport.config import Config
from rapport.policy.features import Float32Array, FloatArray, IntArray
from rapport.policy.learning import rounded

_CHUNK = 8192  # rows whose bends are held at once, about 6 MB
_LEAST = 1e-12  # weight of a user without rows; share of a square that is no mere rounding


class BentSettings(Config):
    """How the bends are trained."""

    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    """Pull of the bends' weights to 0; higher trusts the data less."""
    epochs: int = 10
    hidden: int = 32
    batch: int = 512


class Bent(NamedTuple):
    """`relu(x @ hidden + hidden_bias) @ out` of F networks."""

    hidden: Float32Array
    """[F, D, H]"""
    hidden_bias: Float32Array
    """[F, H]"""
    out: Float32Array
    """[F, H]"""


def fit_bent(
    examples: tuple[Float32Array, FloatArray, Float32Array],
    counts: FloatArray,
    held: FloatArray,
    settings: BentSettings,
) -> tuple[Bent, FloatArray, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Train F networks on what their straight parts leave of the rewards.

    Args:
        examples: x [E, D], y [E], and the straight parts before the tanh [E, F].
        counts: [E, F] weight of each example for each network; 0 where it may not see it.
        held: [E, G] the same of what the first G networks are only measured on.
        settings: Of the training.

    Returns:
        The networks; [E, F] by how much they move the prediction; and of each pass the mean
        squared error of the first G, on what they learn from and on what they are measured on.
    """
    x, y, straight = examples
    network = _Bends(x.shape[1], settings.hidden, many=counts.shape[1])
    inputs, rest = torch.from_numpy(x), torch.from_numpy(straight)
    target, seen, unseen = (torch.from_numpy(e.astype(np.float32)) for e in (y, counts, held))
    told = held.shape[1]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * -(-len(x) // settings.batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=steps)
    off = torch.zeros(settings.epochs, 2)
    for turn in range(settings.epochs):
        for index in torch.split(torch.randperm(len(x)), settings.batch):
            squared = (network(inputs[index], rest[index]) - target[index, None]) ** 2
            error, own = (squared * seen[index]).sum(dim=0), seen[index].sum(dim=0)
            optimizer.zero_grad()
            (error / own.clamp(min=1.0)).sum().backward()
            optimizer.step()
            schedule.step()
            missed = (squared[:, :told] * unseen[index]).sum()
            off[turn] += torch.stack([error[:told].sum(), missed]).detach()
    off /= torch.stack([seen[:, :told].sum(), unseen.sum()])
    with torch.no_grad():
        moved = torch.cat([network(*each) for each in _chunks(inputs, rest)]) - torch.tanh(rest)
    arrays = {name: value.detach().numpy() for name, value in network.named_parameters()}
    passes = rounded(off[:, 0].tolist()), rounded(off[:, 1].tolist())
    return Bent(**arrays), moved.numpy().astype(np.float64), passes


def held_share(moved: FloatArray, left: FloatArray, weight: FloatArray, user: IntArray) -> float:
    """How much of a network's say holds for users it never saw, in [0, 1], by least squares.

    Within users: what lifts alike all that a user may be shown, chooses nothing. It was found with
    networks of half the users; with all of them the noise is halved.

    Args:
        moved: [R] by how much networks moved predictions for users they had not seen.
        left: [R] rewards less the straight predictions there.
        weight: [R].
        user: [R] code of each row's user, from 0.
    """
    whole = (weight * moved**2).sum()
    moved, left = (_within(each, weight, user) for each in (moved, left))
    size = (weight * moved**2).sum()
    if size <= _LEAST * whole:
        return 0.0
    share = float(np.clip((weight * moved * left).sum() / size, 0.0, 1.0))
    return 2.0 * share / (1.0 + share)


def _within(values: FloatArray, weight: FloatArray, user: IntArray) -> FloatArray:
    """[R] values less their mean for the user; users of a single row count as one."""
    group = np.where(np.bincount(user)[user] > 1, user + 1, 0)
    total = np.maximum(np.bincount(group, weight), _LEAST)
    return np.asarray(values - (np.bincount(group, weight * values) / total)[group])


class _Bends(nn.Module):
    """All networks at once: one product instead of a loop over them."""

    def __init__(self, width: int, hidden: int, *, many: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(many, width, hidden) * width**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(many, hidden))
        # From nothing: what was never seen is left to the straight part.
        self.out = nn.Parameter(torch.zeros(many, hidden))

    def forward(self, x: torch.Tensor, straight: torch.Tensor) -> torch.Tensor:
        """[B, D] and [B, F] -> [B, F] expected rewards."""
        summed = torch.einsum("bd,fdh->bfh", x, self.hidden) + self.hidden_bias
        return torch.tanh(straight + (torch.relu(summed) * self.out).sum(dim=2))


def _chunks(*arrays: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    return zip(*(torch.split(each, _CHUNK) for each in arrays), strict=True)
