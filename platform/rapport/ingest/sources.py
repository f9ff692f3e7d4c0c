"""Where logs lie: files, folders, globs, and object stores by URI, all read the same way."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

import pyarrow as pa
from pyarrow import fs

from rapport.config import object_store_query
from rapport.errors import ConfigError
from rapport.ingest.lines import DAMAGED, opened

_BUFFER_BYTES = 2**20
PACKED = (".gz", ".zst", ".zstd")
_MAGIC = "*?["
_NOTHING = "nothing is there; name a file, a folder, a glob or a URI like s3://bucket/folder"


@dataclass(frozen=True)
class Source:
    """One file of a log, here or in an object store."""

    name: str
    """File name, with the folders below the one that was named."""
    path: str
    filesystem: fs.FileSystem

    def open(self, mode: Literal["rb"]) -> io.BufferedReader:
        """Open it as a stream of the bytes that lie there.

        Raises:
            OSError: It cannot be opened.
        """
        assert mode == "rb"
        stream = self.filesystem.open_input_stream(self.path, compression=None)
        return io.BufferedReader(stream, buffer_size=_BUFFER_BYTES)

    def __str__(self) -> str:
        return self.path


def sources(places: Sequence[str], *, endings: Sequence[str]) -> list[Source]:
    """Files that some places name, each once; those of a place in order of name.

    Args:
        places: Files, folders (everything below with one of the endings counts), globs or URIs
            (`s3://`, `gs://`, `abfs://`, `file://`; credentials and endpoints come from the
            environment, as for the lake).
        endings: Such as `.jsonl`; `.gz` and `.zst` may follow.

    Raises:
        ConfigError: A place where nothing fitting lies, or that cannot be reached.
    """
    found: dict[str, Source] = {}
    for place in places:
        files = _files(place, endings)
        if not files:
            wanted = ", ".join(f"*{ending}[.gz|.zst]" for ending in endings)
            raise ConfigError("path", place, f"no file there is of this format ({wanted})")
        for file in files:
            found.setdefault(file.path, file)
    return list(found.values())


@contextmanager
def seekable(source: Source) -> Iterator[BinaryIO]:
    """Open a file that is read in any order; a packed one is unpacked to a temporary file first.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        if not source.name.endswith(PACKED):
            with source.filesystem.open_input_file(source.path) as file:
                yield file
            return
        with tempfile.TemporaryFile() as plain, opened(source) as packed:
            while chunk := packed.read(_BUFFER_BYTES):
                plain.write(chunk)
            plain.seek(0)
            yield cast("BinaryIO", plain)
    except (OSError, EOFError) as error:
        raise ConfigError("path", source.path, f"{DAMAGED} ({type(error).__name__})") from error


def _files(place: str, endings: Sequence[str]) -> list[Source]:
    try:
        filesystem, path = _located(place)
        if filesystem.get_file_info(path).type == fs.FileType.File:
            return [Source(PurePosixPath(path).name, path, filesystem)]
        if any(sign in path for sign in _MAGIC):
            return _matching(filesystem, path)
        return _below(filesystem, path, endings=endings)
    except FileNotFoundError as error:
        raise ConfigError("path", place, _NOTHING) from error
    except (OSError, pa.ArrowException, ValueError) as error:
        remedy = f"it cannot be reached ({type(error).__name__}); {_NOTHING}"
        raise ConfigError("path", place, remedy) from error


def _located(place: str) -> tuple[fs.FileSystem, str]:
    if "://" not in place:
        return fs.LocalFileSystem(), str(Path(place).absolute())
    query = object_store_query(place)
    found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(place + query)
    return found


def _matching(filesystem: fs.FileSystem, pattern: str) -> list[Source]:
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in _MAGIC))
    root = "/".join(parts[:fixed]) or "/"
    listed = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    depth, whole = len(parts), "**" in parts
    # `*` stays inside a folder, as in a shell; `**` goes below.
    return [
        source
        for source in _listed(filesystem, root, listed)
        if fnmatch(source.path, pattern.replace("**/", "*"))
        and (whole or len(source.path.split("/")) == depth)
    ]


def _below(filesystem: fs.FileSystem, root: str, *, endings: Sequence[str]) -> list[Source]:
    listed = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    fitting = tuple(ending + packed for ending in endings for packed in ("", *PACKED))
    return [s for s in _listed(filesystem, root, listed) if s.name.lower().endswith(fitting)]


def _listed(
    filesystem: fs.FileSystem, root: str, listed: Sequence[fs.FileInfo]
) -> Iterator[Source]:
    for info in sorted(listed, key=lambda info: str(info.path)):
        name = str(PurePosixPath(info.path).relative_to(root))
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if info.type == fs.FileType.File and not hidden:
            yield Source(name, info.path, filesystem)
