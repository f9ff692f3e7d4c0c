"""The taking in of a message: whose it is, where it stands, what it says; a crisis comes first."""

import time
from collections.abc import Mapping
from dataclasses import replace

from rapport.errors import ServingError
from rapport.governance.guard import crisis_reply
from rapport.store import Store

from .bundle import Bundle, Bundles
from .errors import named
from .parties import Parties
from .plan import Plan
from .reading import Reader
from .records import Party
from .style import settled
from .wire import ChatRequest


class Hearing:
    """Take messages in. Shared by all requests of a replica; writes nothing."""

    def __init__(
        self,
        *,
        bundles: Bundles,
        store: Store,
        reader: Reader,
        parties: Parties,
        upstream: str | None = None,
    ) -> None:
        self._bundles, self._store, self._reader = bundles, store, reader
        self._parties, self._upstream = parties, upstream

    def without_store(self) -> "Hearing":
        """The same over a store that knows nothing, for replies while it does not answer."""
        return Hearing(
            bundles=self._bundles,
            store=self._store,
            reader=self._reader,
            parties=self._parties.without_store(),
            upstream=self._upstream,
        )

    def model_names(self) -> list[str]:
        """Return what `model` may name."""
        bundle, base = self._bundles.now, self._parties.base_model
        personas = [name for name in bundle.personas if bundle.release_id]
        adapters = [] if self._upstream else [f"{base}:{name}" for name in bundle.adapters]
        names = ["rapport", *(f"rapport:{name}" for name in personas), base, *adapters]
        return list(dict.fromkeys(names))  # an upstream's model may be called so too

    def heard(
        self, tenant: str, asked: ChatRequest, header_user: str | None, *, silent: bool = False
    ) -> Plan:
        """Take a message in, and settle the style of its reply.

        Args:
            tenant: Of the key.
            asked: The request.
            header_user: User named in a header.
            silent: Whether it may hold no words of a user.

        Raises:
            ServingError: The request asks for what cannot be.
        """
        plan = self.taken(tenant, asked, header_user, silent=silent)
        if plan.crisis:
            return plan
        return replace(plan, style=settled(asked.style, self._preferences(plan.party)))

    def taken(
        self, tenant: str, asked: ChatRequest, header_user: str | None, *, silent: bool
    ) -> Plan:
        """Take a message in, whatever style its user prefers; see `heard`."""
        started = time.monotonic()
        if not asked.said.strip() and not silent:
            raise ServingError("messages: there is no user message with text", "messages")
        if asked.model not in self.model_names():
            raise ServingError(f"model {named(asked.model)} is not served; see /v1/models", "model")
        party = self._parties.party(tenant, asked, header_user)
        episode = self._parties.episode(party, asked)
        party = self._parties.settled(party, episode)
        bundle = self._bundle(party, asked)
        reading = self._reader.read(asked.said)
        plan = Plan(
            asked=asked,
            bundle=bundle,
            shadow=self._bundles.shadow,
            party=party,
            episode=episode,
            reading=reading,
            said=asked.said,
            base_model=self._parties.base_model,
            started=started,
        )
        if reading.verdict.kind == "crisis":
            return plan.in_crisis(crisis_reply(party.groups.get("jurisdiction")))
        return plan

    def _bundle(self, party: Party, asked: ChatRequest) -> Bundle:
        """The release that answers: a request that names persona or model gets what serves."""
        if asked.model != "rapport":
            return self._bundles.now
        return self._bundles.dealt(party, upstream=self._upstream)

    def _preferences(self, party: Party) -> Mapping[str, str]:
        if not party.known or party.protected or not party.allows("memory"):
            return {}
        profile = self._store.user(party.tenant, party.user_id)
        return dict(profile["preferences"]) if profile else {}
