"""The watch of a gateway: which release serves, and what people have switched off."""

import asyncio
import contextlib
import time

from rapport.errors import UnavailableError
from rapport.store import Store

from .bundle import Bundles

SWITCH_S = 2.0
"""Seconds between two looks at the switches: they are obeyed within 5 s."""


class Watch:
    """Looks at `CURRENT` every `poll_s` seconds and at the switches every `SWITCH_S`.

    Requests go on while a release loads, and with what was known while the store does not answer.
    """

    def __init__(self, bundles: Bundles, store: Store, *, poll_s: float) -> None:
        self._bundles, self._store = bundles, store
        self.poll_s = poll_s
        self._looked = 0.0
        self.look()

    async def run(self) -> None:
        """Look for as long as the gateway lives."""
        while True:
            await asyncio.sleep(min(SWITCH_S, self.poll_s))
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Look at the switches, and at CURRENT where `poll_s` has passed since the last look."""
        with contextlib.suppress(UnavailableError):  # they stay as they were
            self._bundles.switch(self._store.switches.off())
        if time.monotonic() - self._looked < self.poll_s:
            return
        self._looked = time.monotonic()
        self._bundles.refresh()
