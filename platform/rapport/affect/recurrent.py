"""A small recurrent network over a dialogue: what kind of turn comes next.

Imports torch; who only reads texts does not import this.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

Float32Array = NDArray[np.float32]
Weights = Mapping[str, NDArray[Any]]

_STATE, _MEANING, _KIND = 96, 64, 24
_DROPPED = 0.3
_EPOCHS, _BATCH, _RATE, _DECAY = 12, 32, 3e-3, 3e-3
"""At 12 epochs the loss on dialogues left out is lowest; 10 to 14 differ by less than .005 nats."""
_SCALE = 4.0
"""A unit vector of 384 has entries of .05; scaled, they move the first layer as kinds do."""
_TURNS_A_UNIT = 30.0


@dataclass(frozen=True)
class Course:
    """The turns of one dialogue, T of them."""

    vectors: Float32Array
    """[T, D] unit vectors of their texts."""
    kinds: NDArray[np.int64]
    """[T]: below K a reply of that strategy, K a message, K + 1 a reply of unknown strategy."""


class _Net(nn.Module):
    """Predicts each turn from those before it."""

    def __init__(self, dim: int, kinds: int) -> None:
        super().__init__()
        self.meaning = nn.Linear(dim, _MEANING)
        self.last = nn.Linear(dim, _MEANING)
        self.kind = nn.Embedding(kinds + 3, _KIND)  # the last one stands before the first turn
        self.state = nn.GRU(_MEANING + _KIND + 1, _STATE, batch_first=True)
        self.drop = nn.Dropout(_DROPPED)
        self.out = nn.Linear(_STATE + _MEANING + _KIND, kinds)

    def forward(self, vectors: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Scores [B, T, K] of turn t, from the turns before it: vectors [B, T, D], kinds [B, T]."""
        scaled = vectors * _SCALE
        kind = self.kind(kinds)
        place = torch.arange(vectors.shape[1]).div(_TURNS_A_UNIT)[None, :, None]
        place = place.expand(len(vectors), -1, 1)
        said = self.drop(torch.tanh(self.meaning(self.drop(scaled))))
        state, _ = self.state(torch.cat([said, kind, place], dim=-1))
        last = torch.tanh(self.last(scaled))
        scores: torch.Tensor = self.out(self.drop(torch.cat([state, last, kind], dim=-1)))
        return scores


def fit_recurrent(courses: Sequence[Course], *, kinds: int, seed: int) -> dict[str, NDArray[Any]]:
    """Learn which kind of reply follows; the same input gives the same weights on one machine.

    About 12 s for 1,000 dialogues of 30 turns on one core.

    Args:
        courses: Dialogues; each needs a turn.
        kinds: K strategies.
        seed: Of the weights and of the order.
    """
    dim = courses[0].vectors.shape[1]
    order = np.random.default_rng(seed)
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _Net(dim, kinds)
        steps = _EPOCHS * -(-len(courses) // _BATCH)
        optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        for _ in range(_EPOCHS):
            shuffled = order.permutation(len(courses))
            for start in range(0, len(courses), _BATCH):
                batch = [courses[place] for place in shuffled[start : start + _BATCH]]
                optimiser.zero_grad()
                _loss(net, batch, kinds).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                rate.step()
    return {name: array.detach().numpy() for name, array in net.state_dict().items()}


def recurrent_scores(
    weights: Weights, courses: Sequence[Course], *, kinds: int
) -> list[Float32Array]:
    """Scores [T + 1, K] of every turn of each dialogue, and of the one that comes next."""
    net = _Net(weights["meaning.weight"].shape[1], kinds).eval()
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    found = []
    with torch.inference_mode():
        for start in range(0, len(courses), _BATCH):
            batch = courses[start : start + _BATCH]
            scores = net(*_shifted(batch, kinds)).numpy()
            found += [
                row[: len(course.kinds) + 1] for row, course in zip(scores, batch, strict=True)
            ]
    return found


@contextmanager
def _one_thread() -> Iterator[None]:
    """Steps this small take longer on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss(net: _Net, batch: Sequence[Course], kinds: int) -> torch.Tensor:
    """Mean log loss in nats over the replies whose strategy is known."""
    vectors, before = _shifted(batch, kinds)
    truth = torch.full(before.shape, kinds)
    for row, course in enumerate(batch):
        truth[row, : len(course.kinds)] = torch.from_numpy(course.kinds)
    known = truth < kinds
    return functional.cross_entropy(net(vectors, before)[known], truth[known])


def _shifted(batch: Sequence[Course], kinds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands before each turn and the next: vectors [B, T + 1, D], kinds [B, T + 1]."""
    longest = 1 + max(len(course.kinds) for course in batch)
    vectors = torch.zeros(len(batch), longest, batch[0].vectors.shape[1])
    before = torch.full((len(batch), longest), kinds + 2)
    for row, course in enumerate(batch):
        turns = len(course.kinds)
        vectors[row, 1 : turns + 1] = torch.from_numpy(course.vectors)
        before[row, 1 : turns + 1] = torch.from_numpy(course.kinds)
    return vectors, before
