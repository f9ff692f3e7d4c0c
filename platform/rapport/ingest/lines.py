"""Lines of a text file, plain, gzip or zstd, in bounded memory whatever the file holds."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, NamedTuple, Protocol, cast

import pyarrow as pa

from rapport.errors import ConfigError

MAX_BYTES = 8 * 2**20
"""Longest line or JSON element that is read; the rest of a longer one is passed over."""
_SHOWN_BYTES = 4096
_SKIP_BYTES = 2**20

DAMAGED = "the compressed file is damaged from here on"
EMPTY = "the file is empty"
NOT_UTF8 = "is not UTF-8"
TOO_LONG = f"is longer than {MAX_BYTES // 2**20} MiB"


class Openable(Protocol):
    """A path, or a file elsewhere."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it for reading; raises `OSError` where that cannot be done."""


class Line(NamedTuple):
    """A line, or what is wrong with it."""

    number: int
    """Counted from 1."""
    text: str
    """Without its end; of a line with a problem the beginning."""
    problem: str | None = None


@contextmanager
def opened(path: Openable) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacking it when its first bytes say gzip or zstd.

    Raises:
        ConfigError: It cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        remedy = f"it cannot be read ({type(error).__name__}); name a file or folder that can"
        raise ConfigError("path", str(path), remedy) from error
    with file:
        yield _unpacked(file)


def _unpacked(file: io.BufferedReader) -> BinaryIO:
    begins = file.peek(4)[:4]
    if begins[:2] == b"\x1f\x8b":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if begins == b"\x28\xb5\x2f\xfd":
        # Arrow's reader, since the one of zstandard takes a cut file for a whole one.
        plain = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        return io.BufferedReader(plain, buffer_size=_SKIP_BYTES)
    return file


def lines(path: Openable, *, blanks: bool = False) -> Iterator[Line]:
    """Lines of a file one by one, blank ones left out unless they are asked for.

    A line that is too long or not UTF-8 comes with its problem; a damaged end of a packed file and
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
                if blanks or line.text.strip() or line.problem:
                    yield line
    except (EOFError, zlib.error, OSError):
        yield Line(number + 1, "", DAMAGED)
        return
    if not number:
        yield Line(1, "", EMPTY)


def first_byte(path: Openable) -> bytes:
    """First byte of a file that is no white space; empty when there is none in the first 4 KiB.

    Raises:
        ConfigError: The file cannot be opened.
    """
    try:
        with opened(path) as file:
            return file.read(_SHOWN_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except (EOFError, zlib.error, OSError):
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
