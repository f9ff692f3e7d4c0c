"""What a model makes of replies: nats lost on each, and the gain of one model over another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rapport.evaluation.intervals import Estimate, Terms, estimate
from rapport.language.batches import Encoded, batches, pad
from rapport.language.loading import Model
from rapport.language.workers import Workers

_EVALUATION_TOKENS = 2048


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood of N replies."""

    nats: NDArray[np.float64]
    """[N] summed over a reply's tokens, its end token included; at least 0."""
    tokens: NDArray[np.float64]
    """[N] tokens of each reply, at least 1."""

    @classmethod
    def of(cls, nats: Sequence[float], tokens: Sequence[int]) -> "Losses":
        """Losses from N numbers each."""
        return cls(np.array(nats, dtype=np.float64), np.array(tokens, dtype=np.float64))

    @property
    def mean(self) -> float:
        """Nats a token over all replies."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def perplexity(self) -> float:
        """`exp` of the mean."""
        return float(np.exp(self.mean))


def reply_losses(model: Model, encoded: Sequence[Encoded]) -> Tensor:
    """Nats of each reply [N], with gradients where the model has any.

    The vocabulary is only looked at where a reply's token is predicted: for short replies to longer
    prompts that saves a fifth of the work.

    Args:
        model: A causal language model of the transformers library, adapter inside or not.
        encoded: N examples; padding follows their ends, where attention cannot see it.
    """
    ids, reply = pad(encoded, model.device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state  # [N, T, D]
    predicts = reply[:, 1:]
    logits = model.get_output_embeddings()(hidden[:, :-1][predicts])
    nats = F.cross_entropy(logits.float(), ids[:, 1:][predicts], reduction="none")
    row = predicts.nonzero()[:, 0]
    return torch.zeros(len(encoded), device=nats.device).index_add(0, row, nats)


def evaluate(model: Model, encoded: Sequence[Encoded], workers: Workers) -> Losses:
    """Losses of N examples, in their order, the work shared among the workers."""
    nats = torch.zeros(len(encoded), dtype=torch.float64)
    order = list(batches(encoded, batch_tokens=_EVALUATION_TOKENS, seed=0, shuffle=False))
    with torch.inference_mode():
        for batch in workers.share(order):
            nats[batch] = reply_losses(model, [encoded[i] for i in batch]).double().cpu()
    workers.total([nats])
    tokens = [len(example.ids) - example.start for example in encoded]
    return Losses.of(nats.tolist(), tokens)


def gain(before: Losses, after: Losses, users: Sequence[str]) -> Estimate:
    """Nats a token by which `after` is better, with a 95 % interval over users.

    Args:
        before: Losses of N examples under one model.
        after: Losses of the same examples under another.
        users: N keys; examples of a user are resampled together.

    Raises:
        TooLittleDataError: Fewer than two users.
    """
    saved = before.nats - after.nats
    terms = Terms(saved[None], before.tokens[None], np.array(users), np.ones(len(users)))
    return estimate(terms)
