"""The engine for models in Hugging Face layout: CPU or GPU, any mix of adapters in one batch."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rapport.errors import ConfigError
from rapport.language.adapters import Adapter, read_adapter
from rapport.language.branching import Branches
from rapport.language.decoder import LlamaDecoder
from rapport.language.engine import Delta, Finish, GenerationRequest, Scores
from rapport.language.loading import Hardware, end_tokens, load_language_model
from rapport.language.prompts import Message, encode
from rapport.language.sampling import Draws, choose
from rapport.language.streaming import TextStream

_MOST_AHEAD = 8
"""Adapters kept that were read and not added yet."""
_SCORING_TOKENS = 2048
"""Padded tokens scored in one pass; bounds the memory of the logits."""


@dataclass
class _Reply:
    request: GenerationRequest
    prompt: list[int]
    adapter: int
    stream: TextStream
    draws: Draws
    newest: int = 0
    tokens_out: int = 0

    def delta(self, text: str, finish: Finish | None) -> Delta:
        return Delta(
            request_id=self.request.request_id,
            text=text,
            finish=finish,
            tokens_in=len(self.prompt),
            tokens_out=self.tokens_out,
        )


class TransformersEngine:
    """Implements `rapport.language.engine.Engine` for the architectures of `decoder`.

    Replies join and leave the running batch at every step. The same requests submitted together
    give the same replies on one machine; other company in the batch can change the last bits of a
    matrix product, and with them a draw. Memory: the weights once, 2.8 MB an adapter, and 23 kB a
    token and place for SmolLM2-135M in bfloat16.
    """

    def __init__(
        self,
        model_dir: Path,
        adapters: Mapping[str, Path] | None = None,
        *,
        places: int = 8,
        context_tokens: int = 1024,
        max_adapters: int = 32,
        hardware: Hardware | None = None,
    ) -> None:
        """Load a base model and its adapters.

        Args:
            model_dir: Folder in Hugging Face layout.
            adapters: PEFT folders by name.
            places: Replies written at once; more wait.
            context_tokens: Most tokens of a prompt and its reply together.
            max_adapters: Most adapters in memory, those of replies in flight included.
            hardware: Default a GPU where there is one, in its fastest format.

        Raises:
            ConfigError: The folder holds no model of a known architecture.
            DataError: An adapter is broken or of another model.
        """
        loaded = load_language_model(model_dir, hardware=hardware)
        self._tokenizer = loaded.tokenizer
        self._ends = sorted(end_tokens(loaded))
        self._decoder = LlamaDecoder(loaded.model, rows=places, max_adapters=max_adapters)
        self._places, self._context = places, context_tokens
        self._lock = threading.Lock()
        self._waiting: deque[_Reply] = deque()
        self._writing: list[_Reply] = []  # in the order of the decoder's rows
        self._cancelled: set[str] = set()
        self._open: set[str] = set()
        self._ahead: dict[Path, Adapter] = {}  # read, to be added at the next chance
        for name, folder in (adapters or {}).items():
            self.add_adapter(name, folder)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters, sorted."""
        return self._decoder.bank.names

    @property
    def busy(self) -> bool:
        """True while a request waits or is being written."""
        return bool(self._open)

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load an adapter under a name; see the protocol."""
        with self._lock:
            adapter = self._ahead.pop(folder, None)
        adapter = adapter or read_adapter(folder)
        with self._lock:
            self._decoder.bank.add(name, adapter)

    def read_ahead(self, folder: Path) -> None:
        """Read an adapter's files from any thread; see the protocol."""
        adapter = read_adapter(folder)
        with self._lock:
            self._ahead[folder] = adapter
            while len(self._ahead) > _MOST_AHEAD:
                del self._ahead[next(iter(self._ahead))]

    def remove_adapter(self, name: str) -> None:
        """Unload an adapter; see the protocol."""
        with self._lock:
            self._decoder.bank.remove(name)

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; see the protocol."""
        budget = self._context - request.sampling.max_tokens
        prompt = encode(self._tokenizer, request.messages, max_tokens=budget)
        stream = TextStream(self._tokenizer, request.sampling.stop)
        with self._lock:
            if request.request_id in self._open:
                raise ConfigError("request_id", request.request_id, "give each request its own")
            row = self._decoder.bank.row(request.adapter)
            self._decoder.bank.hold(row)
            self._open.add(request.request_id)
            draws = Draws(request.sampling.seed)
            self._waiting.append(_Reply(request, prompt, row, stream, draws))

    def cancel(self, request_id: str) -> None:
        """Stop a request at the next step; see the protocol."""
        with self._lock:
            if request_id in self._open:
                self._cancelled.add(request_id)

    @torch.inference_mode()
    def step(self) -> Sequence[Delta]:
        """Add one token to every reply being written; see the protocol."""
        deltas = self._stop_cancelled()
        if self._writing:
            logits = self._decoder.advance([reply.newest for reply in self._writing])
            deltas += self._extend(self._writing, logits)
        if admitted := self._next_waiting():
            self._writing += admitted
            logits = self._decoder.admit(
                [reply.prompt for reply in admitted], [reply.adapter for reply in admitted]
            )
            logits[:, self._ends] = -torch.inf  # an empty reply helps nobody
            deltas += self._extend(admitted, logits)
        return deltas

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        replies: Sequence[str],
        *,
        adapters: Sequence[str | None] | None = None,
    ) -> Scores:
        """Conditional log-likelihood of replies; see the protocol."""
        names = adapters or [None] * len(prompts)
        tails = [self._tail(reply) for reply in replies]
        asked = [
            (self._prompt(messages, len(tail)), self._decoder.bank.row(name))
            for messages, tail, name in zip(prompts, tails, names, strict=True)
        ]
        groups = _of_one_prompt(asked, [len(tail) for tail in tails], self._context)
        several = [Branches(asked[own[0]][0], [tails[i] for i in own]) for own in groups]
        total = np.zeros(len(prompts))
        for batch in _by_length([len(branches.row) for branches in several]):
            found = self._decoder.log_probabilities(
                [several[k] for k in batch], [asked[groups[k][0]][1] for k in batch]
            )
            for k, parts in zip(batch, found, strict=True):
                total[groups[k]] = [float(part.double().sum()) for part in parts]
        return Scores(total, np.array([len(tail) for tail in tails], dtype=np.int64))

    def _prompt(self, messages: Sequence[Message], reply_tokens: int) -> tuple[int, ...]:
        most = self._context - reply_tokens
        return tuple(encode(self._tokenizer, messages, max_tokens=most))

    def _tail(self, reply: str) -> list[int]:
        ids = self._tokenizer(reply, add_special_tokens=False)["input_ids"]
        return [*ids[: self._context // 2], self._tokenizer.eos_token_id]

    def _extend(self, replies: Sequence[_Reply], logits: Tensor) -> list[Delta]:
        uniforms = [reply.draws.next() for reply in replies]
        tokens = choose(logits, [reply.request.sampling for reply in replies], uniforms)
        deltas = [self._take(reply, token) for reply, token in zip(replies, tokens, strict=True)]
        self._drop({delta.request_id for delta in deltas if delta.finish})
        return deltas

    def _take(self, reply: _Reply, token: int) -> Delta:
        if token in self._ends:
            return reply.delta(reply.stream.finish(), "stop")
        reply.newest = token
        reply.tokens_out += 1
        text = reply.stream.push(token)
        if reply.stream.stopped:
            return reply.delta(text, "stop")
        if reply.tokens_out < reply.request.sampling.max_tokens:
            return reply.delta(text, None)
        text += reply.stream.finish()
        return reply.delta(text, "stop" if reply.stream.stopped else "length")

    def _next_waiting(self) -> list[_Reply]:
        with self._lock:
            free = min(self._places - len(self._writing), len(self._waiting))
            return [self._waiting.popleft() for _ in range(free)]

    def _stop_cancelled(self) -> list[Delta]:
        with self._lock:
            stopped, self._cancelled = self._cancelled, set()
            replies = [r for r in self._waiting if r.request.request_id in stopped]
            self._waiting = deque(r for r in self._waiting if r not in replies)
            for reply in replies:
                self._close(reply)
        replies += [r for r in self._writing if r.request.request_id in stopped]
        self._drop(stopped)
        return [reply.delta(reply.stream.finish(), "cancelled") for reply in replies]

    def _drop(self, request_ids: set[str]) -> None:
        # From the last row down, so that the row which fills the gap is never itself to go.
        for row in reversed(range(len(self._writing))):
            reply = self._writing[row]
            if reply.request.request_id in request_ids:
                self._decoder.drop(row)
                last = self._writing.pop()
                if row < len(self._writing):
                    self._writing[row] = last
                with self._lock:
                    self._close(reply)

    def _close(self, reply: _Reply) -> None:
        self._open.discard(reply.request.request_id)
        self._cancelled.discard(reply.request.request_id)
        self._decoder.bank.release(reply.adapter)


def _by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Indices in batches of similar length, each of at most `_SCORING_TOKENS` padded tokens."""
    batches: list[list[int]] = [[]]
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches[-1] and (len(batches[-1]) + 1) * lengths[index] > _SCORING_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return [batch for batch in batches if batch]


def _of_one_prompt(
    asked: Sequence[tuple[tuple[int, ...], int]], reply_tokens: Sequence[int], most: int
) -> list[list[int]]:
    """Indices that share a prompt and an adapter, together at most `most` tokens with it."""
    groups: list[list[int]] = []
    open_: dict[tuple[tuple[int, ...], int], tuple[list[int], int]] = {}
    for i, (key, tokens) in enumerate(zip(asked, reply_tokens, strict=True)):
        own, length = open_.get(key, ([], most))
        if length + tokens > most:
            own, length = [], len(key[0])
            groups.append(own)
        own.append(i)
        open_[key] = (own, length + tokens)
    return groups
