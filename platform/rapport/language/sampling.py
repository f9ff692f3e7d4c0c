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
    if all(s.temperature == 0 for s in sampling):
        return [int(token) for token in logits.argmax(-1).tolist()]
    total = scaled.logsumexp(-1, keepdim=True)  # [N, 1]
    top, ids = scaled.topk(min(_SHORTLIST, scaled.shape[-1]), dim=-1)
    mass = (top - total).exp().double().cpu()  # [N, K]
    top_p = torch.tensor([s.top_p for s in sampling], dtype=torch.float64)
    drawn = torch.tensor(uniforms, dtype=torch.float64)
    tokens = _from_nuclei(mass, ids.cpu(), top_p, drawn)
    for row, s in enumerate(sampling):
        if s.temperature == 0:
            tokens[row] = ids[row, 0]
    sampled = torch.tensor([s.temperature > 0 for s in sampling])
    wide = (sampled & (mass.sum(-1) < top_p)).nonzero()[:, 0].tolist()
    if wide and ids.shape[-1] < scaled.shape[-1]:
        mass, ids = scaled[wide].double().softmax(-1).sort(descending=True)
        tokens[wide] = _from_nuclei(mass.cpu(), ids.cpu(), top_p[wide], drawn[wide])
    return [int(token) for token in tokens.tolist()]


def _from_nuclei(mass: Tensor, ids: Tensor, top_p: Tensor, drawn: Tensor) -> Tensor:
    """Tokens [N] from sorted probabilities [N, K] of tokens [N, K]."""
    cumulative = mass.cumsum(-1)
    # A nucleus ends with the first token that brings it to top_p.
    last = (cumulative - mass < top_p[:, None]).sum(-1, keepdim=True) - 1
    aim = drawn[:, None] * cumulative.gather(-1, last)
    place = torch.searchsorted(cumulative, aim, right=True).minimum(last)
    return ids.gather(-1, place)[:, 0]
