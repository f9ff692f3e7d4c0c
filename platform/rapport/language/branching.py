"""Replies to one prompt side by side in one row: the prompt is read once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Branches:
    """A prompt and the replies to it, token ids."""

    prompt: Sequence[int]
    """At least one token."""
    replies: Sequence[Sequence[int]]
    """Each at least one token."""

    @property
    def row(self) -> list[int]:
        """The prompt, then every reply."""
        return [*self.prompt, *(token for reply in self.replies for token in reply)]

    @property
    def places(self) -> list[int]:
        """Place of each token: every reply begins right behind the prompt."""
        begin = len(self.prompt)
        behind = (begin + i for reply in self.replies for i in range(len(reply)))
        return [*range(begin), *behind]

    @property
    def owners(self) -> list[int]:
        """0 for the prompt's tokens, 1 and on for those of each reply."""
        own = (k for k, reply in enumerate(self.replies, 1) for _ in reply)
        return [*[0] * len(self.prompt), *own]

    @property
    def before(self) -> list[list[int]]:
        """For each reply, where the tokens stand that its tokens are predicted at."""
        found, first = [], len(self.prompt)
        for reply in self.replies:
            found.append([len(self.prompt) - 1, *range(first, first + len(reply) - 1)])
            first += len(reply)
        return found


def sight(several: Sequence[Branches], device: torch.device) -> tuple[Tensor, Tensor]:
    """Places [N, T] of the tokens, and who sees whom [N, 1, T, T].

    A token sees those before it of the prompt and of its own reply, none of another reply. What
    pads a row lies behind its end, where nobody looks.
    """
    longest = max(len(each.row) for each in several)
    places = torch.tensor([_filled(each.places, longest) for each in several], device=device)
    owner = torch.tensor([_filled(each.owners, longest) for each in several], device=device)
    causal = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    of_prompt_or_own = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    return places, (causal & of_prompt_or_own)[:, None]


def _filled(values: list[int], length: int) -> list[int]:
    return [*values, *[0] * (length - len(values))]
