"""Lines of a text file, plain or gzip, in bounded memory whatever the file holds."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from rapport.errors import ConfigError

MAX_BYTES = 8 * 2**20
"""Longest line or JSON element that is read; the rest of a longer one is passed over."""
_SHOWN_BYTES = 4096
_SKIP_BYTES = 2**20

DAMAGED = "the compressed file is damaged from here on"
EMPTY = "the file is empty"
NOT_UTF8 = "is not UTF-8"
TOO_LONG = f"is longer than {MAX_BYTES // 2**20} MiB"


class Line(NamedTuple):
    """A line, or what is wrong with it."""

    number: int
    """Counted from 1."""
    text: str
    """Without its end; of a line with a problem the beginning."""
    problem: str | None = None


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacking it when its first bytes say gzip.

    Raises:
        ConfigError: It cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        remedy = f"it cannot be read ({type(error).__name__}); name a file or folder that can"
        raise ConfigError("path", str(path), remedy) from error
    with file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file


def lines(path: Path) -> Iterator[Line]:
    """Lines of a file one by one, blank ones left out.

    A line that is too long or not UTF-8 comes with its problem; a damaged end of a gzip file and
    a file without a single byte come as a line with a problem too. At most `MAX_BYTES` are held.

    Raises:
        ConfigError: The file cannot be opened.
    """
    number = 0
    try:
        with opened(path) as file:
            while chunk := file.readline(MAX_BYTES + 1):
                number += 1
                line = _line(number, chunk)
                if line.problem == TOO_LONG:
                    _skip_to_end_of_line(file)
                if line.text.strip() or line.problem:
                    yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Line(number + 1, "", DAMAGED)
        return
    if not number:
        yield Line(1, "", EMPTY)


def first_byte(path: Path) -> bytes:
    """First byte of a file that is no white space; empty when there is none in the first 4 KiB.

    Raises:
        ConfigError: The file cannot be opened.
    """
    try:
        with opened(path) as file:
            return file.read(_SHOWN_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


def _line(number: int, chunk: bytes) -> Line:
    if len(chunk) > MAX_BYTES and not chunk.endswith(b"\n"):
        return Line(number, chunk[:_SHOWN_BYTES].decode(errors="replace"), TOO_LONG)
    try:
        text = chunk.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        return Line(number, chunk[:_SHOWN_BYTES].decode(errors="replace"), NOT_UTF8)
    return Line(number, text.rstrip("\r\n"))


def _skip_to_end_of_line(file: BinaryIO) -> None:
    while rest := file.readline(_SKIP_BYTES):
        if rest.endswith(b"\n"):
            return
