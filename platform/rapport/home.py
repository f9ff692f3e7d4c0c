"""A home: the folder of one installation, its secret, and its locks."""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rapport.config import HomeConfig
from rapport.errors import ConfigError, LockedError
from rapport.scratch import replace_text

_PLAIN = re.compile(r"[\w/.+=@,~-]+", flags=re.ASCII)


class Home:
    """Paths inside one installation's folder. Opening it creates what is missing.

    Args:
        root: The folder.
        make: False creates nothing, to look at a home that may not exist.
        store: URL of a store elsewhere; none for the home's own SQLite file.

    Raises:
        ConfigError: A path with a space or another sign that the lake's readers take for an escape,
            or where no folder can be made.
    """

    def __init__(self, root: Path, *, make: bool = True, store: str | None = None) -> None:
        self.root = root.absolute()
        if not _PLAIN.fullmatch(str(self.root)):
            remedy = "name one of ASCII letters, digits and /._-+=@,~: table readers miss others"
            raise ConfigError("--home", str(self.root), remedy)
        self._make, self._store = make, store
        if make:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                remedy = f"no folder can be made there ({error.strerror}): name another one"
                raise ConfigError("--home", str(self.root), remedy) from error

    @property
    def lake(self) -> Path:
        """Delta tables."""
        return self.root / "lake"

    @property
    def releases(self) -> Path:
        """Published releases, `CURRENT`, and `.candidates/`."""
        return self.root / "releases"

    @property
    def work(self) -> Path:
        """What one job leaves for the next before it becomes part of a release."""
        return self._made("work")

    @property
    def logs(self) -> Path:
        """Log files of jobs and of Ray."""
        return self._made("logs")

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store: the one named, else of SQLite's file in this home.

        A home that was opened with a store elsewhere remembers where, so that nobody erases or
        relays from an empty file of its own.

        Raises:
            ConfigError: No store is named, and this home's lies elsewhere.
        """
        note = self.root / "store.at"
        if self._store is not None:
            place = _place(self._store)
            if self._make and not (note.exists() and _first_line(note) == place):
                replace_text(note, place + "\n")
            return self._store
        if note.exists():
            remedy = f"this home's store is at {_first_line(note)}: set RAPPORT_STORE to its URL"
            raise ConfigError("store", None, f"{remedy}, or delete {note} to begin a new one")
        return f"sqlite:///{self.root / 'store.db'}"

    @property
    def has_store(self) -> bool:
        """Whether there is a store to look into; opening one makes it."""
        own = self.root / "store.db"
        return self.store_url != f"sqlite:///{own}" or own.exists()

    @property
    def tenants(self) -> Path:
        """The tenant policy file."""
        return self.root / "tenants.yaml"

    def secret(self) -> bytes:
        """Key of this home's keyed hashes, 32 bytes, made once, readable by the owner only."""
        path = self.root / "secret.key"
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(secrets.token_bytes(32))
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass  # another process made it first; both read the same key
            finally:
                fresh.unlink()
        return path.read_bytes()

    @contextmanager
    def lock(self, name: str) -> Iterator[str]:
        """Hold one of the home's locks: `serve`, `run`, or a job's; freed when the process dies.

        Yields:
            Who held it last and died holding it, empty where it was given back.

        Raises:
            LockedError: Another process holds it, or the whole home; the message names that
                process and since when.
        """
        with self._held("home", fcntl.LOCK_SH), self._held(name, fcntl.LOCK_EX) as died:
            yield died

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the whole home: nobody holds a lock of it, or can take one.

        Raises:
            LockedError: Somebody does; the message names that process.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._held("home", fcntl.LOCK_EX))
            except LockedError:
                # Many may share that lock: their own ones tell who they are.
                for path in sorted(self._made("locks").glob("*.lock")):
                    if path.stem != "home":
                        stack.enter_context(self._held(path.stem, fcntl.LOCK_EX))
                raise
            yield

    @contextmanager
    def _held(self, name: str, kind: int) -> Iterator[str]:
        path = self._made("locks") / f"{name}.lock"
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockedError(name, str(self.root), _first_line(path)) from error
            if kind == fcntl.LOCK_SH:
                yield ""
                return
            died = _first_line(path)
            file.truncate(0)
            # To the microsecond: what died is put in order with other runs by it.
            since = datetime.now(UTC).isoformat(timespec="microseconds")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
            try:
                yield died
            finally:
                file.truncate(0)

    def _made(self, name: str) -> Path:
        path = self.root / name
        if self._make:
            path.mkdir(exist_ok=True)
        return path


def home_of(config: HomeConfig, *, make: bool = True) -> Home:
    """Open the home that a configuration names, with its store."""
    store = config.store.get_secret_value() if config.store else None
    return Home(config.home, make=make, store=store)


def _place(url: str) -> str:
    """Where a store lies, without who opens it and how."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].strip()


def user_key(secret: bytes, tenant: str, user_id: str) -> str:
    """Keyed hash under which a user is known in the lake: 32 hex digits of HMAC-SHA256."""
    message = f"{tenant}\x1f{user_id}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]
