"""What of replies may leave while they are still being written."""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .speech import Sample, Speech

CHUNK_S = 0.05
"""Text of so long goes out together: one chunk a token costs four times the throughput."""
GUARD_EVERY = 200
"""Most characters of a streamed reply that are held back; the guard sees all that leaves."""

_END = re.compile(r"[.!?\u2026]+['\")\]\u201d\u2019]*\s+|\n+")

Chunk = Mapping[str, Any]
"""A chunk of a stream in OpenAI's words; what it leaves out (id, model, ...) `Answer` adds."""


@dataclass
class _Held:
    chunk: Chunk
    ends: Mapping[int, tuple[int, int]]
    """By sample: how long what the guard reads, and the reply's text, were with this chunk."""


class Holding:
    """Hold back unfinished sentences, of a long one all but its first part.

    What leaves was seen by the guard together with all of its own sentence, so that no beginning
    of a sentence that must not leave has left. Of a sentence longer than `GUARD_EVERY` the
    beginning leaves as checked so far. Chunks leave whole, as they came.
    """

    def __init__(
        self,
        speech: Speech,
        *,
        fault: Callable[[Sample, bool], str | None],
        stand_in: Callable[[], str],
    ) -> None:
        """Hold the chunks of one stream.

        Args:
            speech: What is said; must have heard a chunk before it is put here.
            fault: Names the rule that a reply breaks; the flag says whether it has ended.
            stand_in: Gives an approved reply for one that must not leave.
        """
        self._speech, self._fault, self._stand_in = speech, fault, stand_in
        self._held: deque[_Held] = deque()
        self._seen: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._last = 0.0

    def put(self, chunk: Chunk) -> None:
        """Take a chunk in."""
        ends = {}
        for choice in chunk["choices"]:
            index = choice.get("index", 0)
            sample = self._speech.sample(index)
            ends[index] = (len(sample.read), len(sample.text))
        self._held.append(_Held(chunk, ends))

    @property
    def due(self) -> bool:
        """Whether it is time to let something leave."""
        return bool(self._held) and time.monotonic() - self._last >= CHUNK_S

    def release(self, *, ended: bool = False) -> list[Chunk]:
        """Let go what may leave, after the guard has read all there is.

        Args:
            ended: Nothing more will come.
        """
        said = self._guarded(ended=ended)
        free: list[Chunk] = []
        while self._held and (ended or self._free(self._held[0])):
            held = self._held.popleft()
            free += self._let(held)
        self._last = time.monotonic()
        return [*free, *said]

    def break_off(self, *, reason: str) -> list[Chunk]:
        """Let go what was read; each reply that has not ended goes on with an approved one."""
        free = self.release()
        for index, sample in enumerate(self._speech.samples):
            if sample.finish is None:
                tell = partial(self._speech.fall_back, reason=reason)
                free += self._instead(index, tell)
        return [*free, *self.release(ended=True)]

    def _guarded(self, *, ended: bool) -> list[Chunk]:
        said: list[Chunk] = []
        for index, sample in enumerate(self._speech.samples):
            fresh = len(sample.read) != self._seen.get(index, 0) or ended
            if sample.replaced or not fresh or (index and sample.is_missing):
                continue
            self._seen[index] = len(sample.read)
            rule = self._fault(sample, ended or sample.finish is not None)
            if rule:
                said += self._instead(index, partial(self._speech.replace, rule=rule))
        return said

    def _instead(self, index: int, tell: Callable[[int, str], None]) -> list[Chunk]:
        """Close a reply with an approved text, behind what of it has left already."""
        sample = self._speech.sample(index)
        left = sample.text[: sample.left]
        piece = ("\n\n" if left else "") + self._stand_in()
        tell(index, left + piece)
        sample.left = len(sample.text)
        head = {} if index in self._sent else {"role": "assistant"}
        said = {**head, self._speech.field: piece}
        return [choice(index, said), choice(index, {}, finish="stop")]

    def _free(self, held: _Held) -> bool:
        return all(self._may_leave(index, ends[0]) for index, ends in held.ends.items())

    def _may_leave(self, index: int, end: int) -> bool:
        sample = self._speech.sample(index)
        if sample.finish is not None:
            return True
        upto = max(len(sample.read) - GUARD_EVERY, _whole(sample.read))
        return end <= max(upto, self._sent.get(index, 0))

    def _let(self, held: _Held) -> Sequence[Chunk]:
        """The chunk without replies that were replaced; nothing where it holds no other."""
        choices = held.chunk["choices"]
        kept = [c for c in choices if not self._speech.sample(c.get("index", 0)).replaced]
        for index in {c.get("index", 0) for c in kept}:
            self._sent[index], self._speech.sample(index).left = held.ends[index]
        if len(kept) == len(choices):
            return [held.chunk]
        return [{**held.chunk, "choices": kept}] if kept else []


def readable(text: str) -> str:
    """What the guard reads of a reply that is still being written: what may leave after it.

    An unfinished sentence is no sentence yet ("cut yourself" may go on with "some slack"), unless
    it is so long that its beginning is to leave.
    """
    whole = _whole(text)
    return text if len(text) - whole > GUARD_EVERY else text[:whole]


def choice(index: int, delta: Mapping[str, Any], *, finish: str | None = None) -> Chunk:
    """Build a chunk of ours that adds to one reply."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def _whole(text: str) -> int:
    """Where the last finished sentence ends, white space after it included."""
    return max((match.end() for match in _END.finditer(text)), default=0)
