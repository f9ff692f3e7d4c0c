"""Choosing the next token: temperature, nucleus, and a seed of each request's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rapport.errors import ConfigError

_SHORTLIST = 256
"""Tokens sorted at first: enough for most nuclei, at a fraction of sorting the vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How one reply is drawn."""

    temperature: float = 0.7
    """At least 0; 0 always takes the likeliest token."""
    top_p: float = 0.9
    """In (0, 1]: only the likeliest tokens that together have this mass are drawn from."""
    max_tokens: int = 64
    """Most tokens of the reply."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError("temperature", self.temperature, "take a number of 0 or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError("top_p", self.top_p, "take a number above 0, at most 1")
        if self.max_tokens < 1:
            raise ConfigError("max_tokens", self.max_tokens, "take at least 1")
        if "" in self.stop:
            raise ConfigError("stop", self.stop, "leave out the empty text")


class Draws:
    """The uniform numbers of one request, in the order its tokens are drawn.

    They come from the CPU's generator whatever the model runs on, so a seed means the same draws
    everywhere; equal text also needs equal logits.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def next(self) -> float:
        """A fresh number in [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def choose(logits: Tensor, sampling: Sequence[Sampling], uniforms: Sequence[float]) -> list[int]:
    """Next token of each row.

    Args:
        logits: [N, V], any float type and device.
        sampling: N settings.
        uniforms: N numbers in [0, 1); row i takes the token at which the sorted nucleus' cumulative
            probability passes `uniforms[i]`.

    Source: Holtzman et al., ICLR 2020 (arXiv:1904.09751). Exact; the vocabulary is sorted only for
    rows whose nucleus is larger than the short list.
    """
    logits = logits.float()
    heat = torch.tensor([max(s.temperature, 1e-6) for s in sampling], device=logits.device)
    scaled = logits / heat[:, None]
    total = scaled.logsumexp(-1, keepdim=True)  # [N, 1]
    top, ids = scaled.topk(min(_SHORTLIST, scaled.shape[-1]), dim=-1)
    mass = (top - total).exp().double().cpu()  # [N, K]
    listed = ids.cpu()
    return [
        int(listed[row, 0])
        if s.temperature == 0
        else _from_nucleus(scaled[row], (mass[row], listed[row]), s.top_p, u)
        for row, (s, u) in enumerate(zip(sampling, uniforms, strict=True))
    ]


def _from_nucleus(
    scaled: Tensor, shortlist: tuple[Tensor, Tensor], top_p: float, uniform: float
) -> int:
    mass, ids = shortlist
    if float(mass.sum()) < top_p and len(ids) < len(scaled):
        probabilities = scaled.double().softmax(-1).cpu()
        mass, ids = probabilities.sort(descending=True)
    cumulative = mass.cumsum(0)
    # The nucleus ends with the first token that brings it to top_p.
    size = int((cumulative - mass < top_p).sum())
    kept = cumulative[:size]
    place = torch.searchsorted(kept, uniform * kept[-1], right=True)
    return int(ids[min(int(place), size - 1)])
