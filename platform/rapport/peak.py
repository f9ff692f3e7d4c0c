"""Peak memory of a process and everything it started, by looking again and again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_EVERY_S = 1.0


class Peak:
    """Largest number of bytes seen so far."""

    def __init__(self) -> None:
        self.bytes = 0

    def look(self) -> None:
        """Sum what is resident now: this process whole, of its descendants what they alone hold.

        Pages that several processes share, Ray's object store among them, count once or not at
        all. What comes and goes between two looks is missed.
        """
        me = psutil.Process()
        total = int(me.memory_info().rss)
        for child in me.children(recursive=True):
            with suppress(psutil.Error):
                held = child.memory_info()
                total += held.rss - getattr(held, "shared", 0)
        self.bytes = max(self.bytes, total)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch this process and its descendants for the length of a block, once a second."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY_S):
            peak.look()

    peak.look()
    thread = threading.Thread(target=watch, name="peak-memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.look()
