"""The course of one training: steps, checks on held-out users, and where to stop."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from rapport.language.adaptation import Optimiser, write_adapter
from rapport.language.batches import Encoded, batches
from rapport.language.loading import Model
from rapport.language.losses import Losses, evaluate, reply_losses
from rapport.language.settings import TrainingSettings
from rapport.language.workers import Workers

StoppedBy = Literal["tokens", "held_out", "budget"]

STATE_FILE = "training_state.pt"
STATE_LAYOUT = 2
"""Raised when what a checkpoint holds changes, so that no training goes on from an older one."""
_WARM_UP, _LOWEST_RATE = 0.05, 0.1
_SLACK = 0.1  # share of the time a training may lag before its learning rate follows the clock


@dataclass(frozen=True)
class Target:
    """Where an adapter goes, and by when."""

    out: Path
    """Folder; the state of an interrupted training in it is taken up."""
    deadline: float | None = None
    """`time.monotonic()` by which it is done; the learning rate falls to fit."""
    on_checkpoint: Callable[[], None] = lambda: None
    """Called when `out` holds a whole adapter and the state: after each check, and between."""
    checkpoint_s: float = math.inf
    """Most seconds of steps between two calls."""


@dataclass(frozen=True)
class Best:
    """The best check so far."""

    losses: Losses
    factors: list[Tensor]


class Course:
    """One training under way. The adapter in `target.out` is always the best check so far."""

    def __init__(
        self, wrapped: Model, settings: TrainingSettings, target: Target, held: Sequence[Encoded]
    ) -> None:
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.stopped_by: StoppedBy = "tokens"
        self.best: Best
        self._wrapped, self._settings, self._target, self._held = wrapped, settings, target, held
        self._model = wrapped.get_base_model()
        self._workers = Workers()
        self._optimiser = Optimiser(wrapped, self._workers)
        self._started, self._checked = time.monotonic(), 0
        self._kept = self._started
        self._step_s = self._check_s = 0.0

    def begin(self, losses: Losses | None, *, base: str) -> None:
        """Stand where an interrupted training stood, else at the start.

        Args:
            losses: Of the held-out examples at the start, where they are known.
            base: Name of the base model.
        """
        self._base = base
        state = self._target.out / STATE_FILE
        if state.exists():
            self._resume(torch.load(state, map_location="cpu", weights_only=True))
            return
        if losses is None:
            losses = self._evaluated()
        self.best = Best(losses, self._optimiser.factors())
        write_adapter(self._wrapped, self._target.out, base=base)

    def run(self, taught: Sequence[Encoded], advance: Callable[[int], None]) -> None:
        """Step until tokens, time or progress end, then leave the model at the best check."""
        self._started, self._kept = time.monotonic() - self.seconds, time.monotonic()
        for batch in itertools.islice(self._endless(taught), self.step, None):
            if self._over():
                break
            if self._workers.agreed(self._left() - self._step_s) <= 0:
                self.stopped_by = "budget"
                break
            due = self._next_check()
            self._take(batch)
            advance(sum(len(example.ids) for example in batch))
            if self.tokens >= due:
                self._check()
            elif self._workers.agreed(time.monotonic() - self._kept) > self._target.checkpoint_s:
                self._keep()
        if self._checked != self.step:
            self._check()
        self.seconds = time.monotonic() - self._started
        self._optimiser.show(self.best.factors)

    def _over(self) -> bool:
        return self.stopped_by != "tokens" or self.tokens >= self._settings.tokens

    def _endless(self, taught: Sequence[Encoded]) -> Iterator[list[Encoded]]:
        for epoch in itertools.count():
            seed = self._settings.seed + epoch
            for batch in batches(taught, batch_tokens=self._settings.batch_tokens, seed=seed):
                yield [taught[i] for i in batch]

    def _take(self, batch: Sequence[Encoded]) -> None:
        begun = time.monotonic()
        rate = self._workers.agreed(self._rate())
        share = self._workers.share(batch)
        replies = sum(len(example.ids) - example.start for example in share)
        if share:
            torch.autograd.backward(reply_losses(self._model, share).sum())
        self._optimiser.step(rate, torch.tensor(float(replies), device=self._model.device))
        self.step += 1
        self.tokens += sum(len(example.ids) for example in batch)
        self._step_s = max(self._step_s, time.monotonic() - begun)
        if not self._check_s:  # nothing was measured yet: at worst as slow a token as a step
            held = sum(len(example.ids) for example in self._held)
            self._check_s = self._step_s * held / sum(len(example.ids) for example in batch)

    def _next_check(self) -> int:
        every = self._settings.tokens / self._settings.checks
        return min(math.ceil((self.tokens // every + 1) * every), self._settings.tokens)

    def _evaluated(self) -> Losses:
        begun = time.monotonic()
        losses = evaluate(self._model, self._held, self._workers)
        self._check_s = time.monotonic() - begun
        return losses

    def _check(self) -> None:
        losses = self._evaluated()
        if losses.mean < self.best.losses.mean:
            self.best = Best(losses, self._optimiser.factors())
            write_adapter(self._wrapped, self._target.out, base=self._base)
        elif (
            losses.mean > self.best.losses.mean + self._settings.worse_nats
            and self.stopped_by == "tokens"
        ):
            self.stopped_by = "held_out"
        self._checked = self.step
        self._keep()

    def _keep(self) -> None:
        partial = self._target.out / f"{STATE_FILE}.partial"
        torch.save(self._state(), partial)
        partial.replace(self._target.out / STATE_FILE)
        self._target.on_checkpoint()
        self._kept = time.monotonic()

    def _left(self) -> float:
        """Seconds left for steps, the last check put aside."""
        deadline = self._target.deadline
        return math.inf if deadline is None else deadline - time.monotonic() - self._check_s

    def _rate(self) -> float:
        """Learning rate by the share of the tokens, or of the time where that is far ahead.

        A training that keeps pace with its deadline takes no number from the clock, so that it
        comes out the same again.
        """
        done = self.tokens / self._settings.tokens
        warm = min(1.0, (done + 0.01) / _WARM_UP)
        if self._target.deadline is not None:
            spent = time.monotonic() - self._started
            late = spent / max(spent + self._left(), 1e-9)
            done = max(done, (late - _SLACK) / (1 - _SLACK))
        fall = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self._settings.learning_rate * warm * (_LOWEST_RATE + (1 - _LOWEST_RATE) * fall)

    def _state(self) -> dict[str, Any]:
        return {
            "optimiser": self._optimiser.state(),
            "course": [self.step, self.tokens, time.monotonic() - self._started],
            "checked": self._checked,
            "stopped_by": self.stopped_by,
            "timing": [self._step_s, self._check_s],
            "best": [torch.from_numpy(self.best.losses.nats), *self.best.factors],
        }

    def _resume(self, state: dict[str, Any]) -> None:
        self._optimiser.restore(state["optimiser"])
        self.step, self.tokens, self.seconds = state["course"]
        self._checked = state["checked"]
        if state["stopped_by"] != "budget":  # a new run has a budget of its own
            self.stopped_by = state["stopped_by"]
        self._step_s, self._check_s = state["timing"]
        nats, *factors = state["best"]
        tokens = [len(example.ids) - example.start for example in self._held]
        self.best = Best(Losses.of(nats.tolist(), tokens), factors)
