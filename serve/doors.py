"""Who may come in: keys looked up by hash, remembered briefly, with what they open."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rapport.errors import ForbiddenError, UnauthorizedError, UnavailableError
from rapport.governance.access import agents_of, bearer, key_hash, opens
from rapport.governance.tenants import Rates, TenantPolicy, policy_of
from rapport.store import Store
from rapport.store.keys import ApiKey

FRESH_S = 2.0
"""Seconds a key is taken for what it was: how long a revoked one may still open."""
GRACE_S = 300.0
"""Seconds a known key stays good while the store does not answer."""
MAX_KEYS = 10_000
_REMEDY = "give a valid key as Authorization: Bearer rk_..."


@dataclass(frozen=True)
class Caller:
    """A request's key, as far as anybody needs to know it."""

    tenant: str
    key_id: str
    """Hash of the key."""
    scopes: frozenset[str]
    rates: Rates

    @property
    def agents(self) -> frozenset[str]:
        """Agents the key is bound to; empty for all."""
        return agents_of(self.scopes)

    def opens(self, scope: str) -> bool:
        """Whether the key has a scope."""
        return opens(self.scopes, scope)

    def must_open(self, scope: str) -> None:
        """Refuse a key without a scope.

        Raises:
            ForbiddenError: It has none that includes this one.
        """
        if not self.opens(scope):
            raise ForbiddenError(f"the key has no scope {scope!r}", "authorization")

    def must_speak_for(self, agent_id: str) -> None:
        """Refuse a key that is bound to other agents.

        Raises:
            ForbiddenError: It is.
        """
        if self.agents and agent_id not in self.agents:
            bound = ", ".join(sorted(self.agents))
            raise ForbiddenError(f"the key is bound to: {bound}", "rapport::agent_id")


class Doors:
    """Let in who has a valid key. For one event loop."""

    def __init__(self, store: Store, tenants: Mapping[str, TenantPolicy]) -> None:
        self._store, self._tenants = store, tenants
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def admitted(self, authorization: str | None) -> Caller:
        """Name the caller behind an `Authorization` header.

        Raises:
            UnauthorizedError: No key, or one that is unknown, expired or revoked.
            UnavailableError: The store does not answer and the key was not seen lately.
        """
        key = bearer(authorization)
        if key is None:
            raise UnauthorizedError(_REMEDY, "authorization")
        found = await self._lookup(key_hash(key))
        if found is None or not found.is_valid(datetime.now(UTC)):
            raise UnauthorizedError(_REMEDY, "authorization")
        rates = policy_of(self._tenants, found.tenant).rates
        return Caller(found.tenant, found.key_hash, found.scopes, rates)

    async def _lookup(self, hashed: str) -> ApiKey | None:
        now = time.monotonic()
        seen, known = self._known.get(hashed, (0.0, None))
        if known and now - seen < FRESH_S:
            return known
        try:
            found = await asyncio.to_thread(self._store.keys.valid, hashed)
        except UnavailableError:
            if known and now - seen < GRACE_S:
                return known
            raise
        self._known.pop(hashed, None)
        if found is not None:
            self._known[hashed] = (now, found)
            while len(self._known) > MAX_KEYS:
                self._known.popitem(last=False)
        return found
