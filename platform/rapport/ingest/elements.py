"""JSON records of a file: one a line, or the elements of one array, in bounded memory."""

import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from rapport.ingest.lines import (
    DAMAGED,
    EMPTY,
    MAX_BYTES,
    NOT_UTF8,
    TOO_LONG,
    Openable,
    first_byte,
    lines,
    opened,
)

_NOT_JSON = "is not JSON"
_OPEN = "the file ends before its array does"
_BETWEEN = re.compile(r"[\s,]*")
_SHOWN = 4096
_KEPT = 256  # more than a record's opening that two reads cut in two


class Element(NamedTuple):
    """A JSON record, or what is wrong with it."""

    position: str
    """`line 3` or `dialogue 3`, counted from 1."""
    value: Any
    text: str
    """As it stood in the file; of an element with a problem the beginning."""
    problem: str | None = None


def elements(path: Openable, *, opening: re.Pattern[str]) -> Iterator[Element]:
    """Records of a file that holds one a line or one JSON array of them.

    A broken element of an array ends where `opening`, the beginning of a record, is next met.

    Args:
        path: Plain, gzip or zstd.
        opening: Matches where a record of an array begins, its brace included.

    Raises:
        ConfigError: The file cannot be opened.
    """
    if first_byte(path) == b"[":
        return _array(path, opening)
    return _lines(path)


def _lines(path: Openable) -> Iterator[Element]:
    for line in lines(path):
        position = f"line {line.number}"
        if line.problem:
            yield Element(position, None, line.text, line.problem)
            continue
        try:
            yield Element(position, json.loads(line.text), line.text)
        except (ValueError, RecursionError):
            yield Element(position, None, line.text, _NOT_JSON)


def _array(path: Openable, opening: re.Pattern[str]) -> Iterator[Element]:
    number = 0
    try:
        with opened(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape")
            for element in _elements(_Window(text), opening):
                number += 1
                yield element
    except (EOFError, zlib.error, OSError):
        yield Element(f"dialogue {number + 1}", None, "", DAMAGED)
        return
    if not number:
        yield Element("dialogue 1", None, "", EMPTY)


class _Window:
    """The part of a text that is being looked at: the longest record or more, unless it ends."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.text, self.place, self.ended = "", 0, False

    def fill(self) -> None:
        while not self.ended and len(self.text) - self.place <= MAX_BYTES:
            more = self._file.read(MAX_BYTES)
            self.text, self.place = self.text[self.place :] + more, 0
            self.ended = not more

    def skip_to(self, opening: re.Pattern[str]) -> bool:
        """Move to the next match after this place; False when there is none to the end."""
        self.place += 1
        while True:
            found = opening.search(self.text, self.place)
            if found:
                self.place = found.start()
                return True
            if self.ended:
                return False
            self.place = max(self.place, len(self.text) - _KEPT)
            self.fill()


def _elements(window: _Window, opening: re.Pattern[str]) -> Iterator[Element]:
    decoder, number = json.JSONDecoder(), 0
    window.fill()
    window.place = window.text.index("[") + 1
    while True:
        window.fill()
        found = _BETWEEN.match(window.text, window.place)
        window.place = found.end() if found else window.place
        start = window.place
        if window.text[start : start + 1] == "]":
            return
        number += 1
        if start == len(window.text):
            yield Element(f"dialogue {number}", None, "", _OPEN)
            return
        try:
            value, end = decoder.raw_decode(window.text, start)
        except (ValueError, RecursionError):
            problem = _NOT_JSON if window.ended else f"{_NOT_JSON}, or {TOO_LONG}"
            yield Element(f"dialogue {number}", None, window.text[start : start + _SHOWN], problem)
            if not window.skip_to(opening):
                return
            continue
        window.place = end
        yield _decoded(number, value, text=window.text[start:end])


def _decoded(number: int, value: object, *, text: str) -> Element:
    position = f"dialogue {number}"
    if len(text) > MAX_BYTES:
        return Element(position, None, text[:_SHOWN], TOO_LONG)
    try:
        text.encode()
    except UnicodeEncodeError:
        return Element(position, None, text[:_SHOWN], NOT_UTF8)
    return Element(position, value, text)
