"""Examples as token ids, in batches of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rapport.language.examples import Example
from rapport.language.prompts import TRAINING_PROMPT_TOKENS, Tokenizer, build, encode

IntArray = NDArray[np.int64]

REPLY_TOKENS = 96
"""Longer replies are cut, without an end token, so that nothing is learnt about how they end."""
_SORTED_TOGETHER = 8  # batches' worth of examples that are sorted by length


@dataclass(frozen=True)
class Encoded:
    """A prompt followed by its reply."""

    ids: tuple[int, ...]
    start: int
    """Where the reply begins."""
    user: str


def encode_examples(
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    *,
    prompt_tokens: int = TRAINING_PROMPT_TOKENS,
) -> list[Encoded]:
    """Token ids of examples, prompts written exactly as serving writes them."""
    return [_encoded(tokenizer, example, prompt_tokens) for example in examples]


def batches(
    encoded: Sequence[Encoded], *, batch_tokens: int, seed: int, shuffle: bool = True
) -> Iterator[list[int]]:
    """Indices in batches of at most `batch_tokens` padded tokens, once over the examples.

    Lengths within a batch are similar, so that little is padded; batches come in random order.
    An example longer than `batch_tokens` gets a batch of its own.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(encoded)) if shuffle else np.arange(len(encoded))
    lengths = np.array([len(example.ids) for example in encoded])
    together = _SORTED_TOGETHER * batch_tokens * len(order) // max(int(lengths.sum()), 1)
    span = max(1, int(together) if shuffle else len(order))
    made: list[list[int]] = []
    for first in range(0, len(order), span):
        part = order[first : first + span]
        made += _packed(part[np.argsort(lengths[part], kind="stable")], lengths, batch_tokens)
    yield from (
        made[i] for i in (generator.permutation(len(made)) if shuffle else range(len(made)))
    )


def pad(encoded: Sequence[Encoded], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [N, T], padded after their ends, and a mask [N, T] of the reply's tokens."""
    longest = max(len(example.ids) for example in encoded)
    ids = torch.zeros((len(encoded), longest), dtype=torch.long)
    reply = torch.zeros((len(encoded), longest), dtype=torch.bool)
    for row, example in enumerate(encoded):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        reply[row, example.start : len(example.ids)] = True
    return ids.to(device), reply.to(device)


def _encoded(tokenizer: Tokenizer, example: Example, prompt_tokens: int) -> Encoded:
    prompt = encode(tokenizer, build(example.messages, arm=example.arm), max_tokens=prompt_tokens)
    reply = tokenizer(example.reply, add_special_tokens=False)["input_ids"]
    whole = len(reply) <= REPLY_TOKENS
    end = [tokenizer.eos_token_id] if whole else []
    return Encoded((*prompt, *reply[:REPLY_TOKENS], *end), len(prompt), example.user)


def _packed(order: IntArray, lengths: IntArray, batch_tokens: int) -> list[list[int]]:
    made: list[list[int]] = [[]]
    for index in order:
        if made[-1] and (len(made[-1]) + 1) * lengths[index] > batch_tokens:
            made.append([])
        made[-1].append(int(index))
    return [batch for batch in made if batch]
