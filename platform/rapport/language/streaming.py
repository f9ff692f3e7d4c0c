"""Tokens to text as they come: no half characters, no half of a stop text."""

from collections.abc import Sequence

from rapport.language.prompts import Tokenizer

_HALF = "\ufffd"
"""What tokenizers decode an unfinished UTF-8 sequence to."""


class TextStream:
    """The text of one growing reply, handed out in pieces that never have to be taken back."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._tokens: list[int] = []
        self._from = 0  # where decoding starts: a little context keeps spaces right
        self._done = 0  # tokens whose text was read
        self._held = ""
        self.stopped = False
        """True once a stop text appeared; nothing after it is handed out."""

    def push(self, token: int) -> str:
        """Take one token; get the text that is now certain."""
        self._tokens.append(token)
        before = self._decode(self._from, self._done)
        text = self._decode(self._from, len(self._tokens))
        if text.endswith(_HALF) or len(text) <= len(before):
            return ""
        self._from, self._done = self._done, len(self._tokens)
        return self._release(text[len(before) :])

    def finish(self) -> str:
        """The rest of the text once no token will follow."""
        if self.stopped:
            return ""
        before = self._decode(self._from, self._done)
        rest = self._decode(self._from, len(self._tokens))[len(before) :].rstrip(_HALF)
        held, self._held = self._held + rest, ""
        return self._before_stop(held)

    def _decode(self, first: int, last: int) -> str:
        return self._tokenizer.decode(self._tokens[first:last], skip_special_tokens=True)

    def _release(self, piece: str) -> str:
        whole = self._before_stop(self._held + piece)
        if self.stopped:
            self._held = ""
            return whole
        keep = self._pending(whole)
        self._held = whole[len(whole) - keep :]
        return whole[: len(whole) - keep]

    def _before_stop(self, text: str) -> str:
        places = [text.find(stop) for stop in self._stop]
        found = [place for place in places if place >= 0]
        self.stopped = bool(found)
        return text[: min(found)] if found else text

    def _pending(self, text: str) -> int:
        """Length of the longest end of `text` that a stop text could begin with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((n for n in sizes if any(s.startswith(text[-n:]) for s in self._stop)), 0)
