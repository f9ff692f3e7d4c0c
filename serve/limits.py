"""What a key may ask of a replica: how fast, how much at once, how large, how long."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import Field

from rapport.config import Config
from rapport.errors import TooManyRequestsError
from rapport.governance.tenants import Rates

MAX_KEYS = 10_000
"""Keys whose use is remembered; the longest unused is forgotten, and starts with a full bucket."""
BUSY_RETRY_S = 1.0


class Limits(Config):
    """Bounds on one request; rates and concurrency are the tenant's (`Rates`)."""

    body_bytes: int = Field(default=1 << 20, ge=1024)
    """Largest body; past it 413."""
    body_s: float = Field(default=10.0, gt=0)
    """Time a body may take to arrive, whole; past it 408."""
    answer_s: float = Field(default=90.0, gt=0)
    """Time until an answer begins; past it 503."""
    whole_s: float = Field(default=180.0, gt=0)
    """Time until the last byte was taken, so that a slow reader holds no place for ever."""


@dataclass
class _Use:
    tokens: float
    at: float
    open: int = 0


class Turnstile:
    """Let requests of each key through at its tenant's rate, so many at once.

    A token bucket a key: `per_s` tokens a second, at most `burst`. Each replica counts for itself,
    so a key's whole rate is that times the replicas. For one event loop; no locks.
    """

    def __init__(self) -> None:
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    @contextmanager
    def passed(self, key: str, rates: Rates, *, now: float | None = None) -> Iterator[None]:
        """Hold a place for one request.

        Raises:
            TooManyRequestsError: The bucket is empty, or all of the key's places are taken.
        """
        use = self._use(key, rates, time.monotonic() if now is None else now)
        if use.open >= rates.at_once:
            message = f"the key has {rates.at_once} requests open, its tenant's limit"
            raise TooManyRequestsError(message, BUSY_RETRY_S)
        if use.tokens < 1:
            message = f"the key asked more than {rates.per_s:g} times a second"
            raise TooManyRequestsError(message, (1 - use.tokens) / rates.per_s)
        use.tokens -= 1
        use.open += 1
        try:
            yield
        finally:
            use.open -= 1

    def _use(self, key: str, rates: Rates, now: float) -> _Use:
        use = self._uses.setdefault(key, _Use(rates.burst, now))
        self._uses.move_to_end(key)
        if len(self._uses) > MAX_KEYS:
            self._uses.popitem(last=False)
        use.tokens = min(rates.burst, use.tokens + (now - use.at) * rates.per_s)
        use.at = now
        return use
