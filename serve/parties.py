"""Who is talking, under which tenant's policy, and in which conversation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from rapport.arms import agents
from rapport.errors import ServingError
from rapport.governance.tenants import TenantPolicy, policy_of
from rapport.home import user_key
from rapport.schema import new_id
from rapport.store import Episode as Ended

from .errors import named
from .profiles import filled, known_purposes
from .records import Episode, Party, prefix_hash
from .wire import ChatRequest

if TYPE_CHECKING:
    from .plan import Plan


class Remembers(Protocol):
    """What is asked of the store about a party; see `rapport.store.Store`."""

    def user(self, tenant: str, user_id: str) -> dict[str, Any] | None:
        """The latest profile of a user."""

    def episode_by_prefix(self, tenant: str, user_id: str, prefix_hash: str) -> Ended | None:
        """Where the conversation that starts with this prefix stands."""

    def turns_of(self, conversation_id: str) -> list[dict[str, Any]]:
        """Turns of a conversation in order."""


class Nothing:
    """A store that knows nobody."""

    def user(self, tenant: str, user_id: str) -> None:
        """No profile."""

    def episode_by_prefix(
        self,
        tenant: str,
        user_id: str,
        prefix_hash: str,
    ) -> None:
        """No conversation."""

    def turns_of(self, conversation_id: str) -> list[dict[str, Any]]:  # noqa: ARG002
        """No turns."""
        return []


class Parties:
    """Name users by keyed hash, apply the tenant's policy, and find conversations again."""

    def __init__(
        self,
        store: Remembers,
        *,
        secret: bytes,
        tenants: Mapping[str, TenantPolicy],
        base_model: str,
    ) -> None:
        self._store, self._secret, self.tenants = store, secret, tenants
        self.base_model = base_model

    def without_store(self) -> "Parties":
        """The same over a store that knows nothing, for replies while it does not answer."""
        return Parties(
            Nothing(), secret=self._secret, tenants=self.tenants, base_model=self.base_model
        )

    def passes_through(self, tenant: str) -> bool:
        """Whether a tenant would rather have replies than a log of them."""
        return policy_of(self.tenants, tenant).on_store_failure == "pass_through"

    def key(self, tenant: str, raw: str) -> str:
        """Keyed hash under which a tenant's user is known here."""
        return user_key(self._secret, tenant, raw)

    def party(self, tenant: str, asked: ChatRequest, header_user: str | None) -> Party:
        """Name the party of a request; without a user he gets his name in `settled`.

        Raises:
            ServingError: An unknown agent or purpose.
        """
        if asked.agent_id not in agents():
            told = f"rapport::agent_id {named(asked.agent_id)} is not known"
            raise ServingError(f"{told}; known: {', '.join(agents())}", "rapport::agent_id")
        known_purposes(asked.who.purposes, param="rapport::user.purposes")
        raw = asked.who.id or header_user or asked.safety_identifier or asked.user
        user_id = self.key(tenant, raw) if raw else ""
        who = filled(asked.who, self._store.user(tenant, user_id) if raw else None)
        policy = policy_of(self.tenants, tenant)
        age_band = policy.age_band(who.age_band)
        groups = {"age_band": age_band}
        if who.jurisdiction:
            groups["jurisdiction"] = who.jurisdiction
        return Party(
            tenant=tenant,
            user_id=user_id,
            known=bool(raw),
            agent_id=asked.agent_id,
            purposes=policy.purposes_for(who.purposes, age_band=who.age_band),
            groups=groups,
            journey_id=asked.journey_id,
            task_id=asked.task_id,
            protected=policy.is_protected(age_band),
            explorable=policy.may_explore(age_band),
        )

    def episode(self, party: Party, asked: ChatRequest) -> Episode:
        """Find the conversation a request goes on with, else start one.

        Named by the request, else the one of the same tenant and user whose messages end in the
        last reply we served.
        """
        said = [(m.role, m.text) for m in asked.messages]
        last = max((i for i, (role, _) in enumerate(said) if role == "assistant"), default=None)
        if last is not None:
            prefix = prefix_hash(party.tenant, _owner(party), said[: last + 1])
            known = self._store.episode_by_prefix(party.tenant, _owner(party), prefix)
            if known is not None:
                return Episode(asked.episode_id or known.episode_id, known.turn_index)
        if asked.episode_id:
            return Episode(asked.episode_id, self._next_index(party, asked.episode_id))
        return Episode(new_id(), 0)

    def settled(self, party: Party, episode: Episode) -> Party:
        """Name who did not say who he is after his conversation: he is a user of its own."""
        if party.known:
            return party
        key = user_key(self._secret, party.tenant, f"anonymous:{episode.episode_id}")
        return replace(party, user_id=key)

    def continued(self, plan: "Plan", reply: str) -> Ended:
        """Note where a conversation stands once this reply was served."""
        owner = _owner(plan.party)
        said = [(m.role, m.text) for m in plan.asked.messages]
        return Ended(
            tenant=plan.party.tenant,
            user_id=owner,
            prefix_hash=prefix_hash(plan.party.tenant, owner, [*said, ("assistant", reply)]),
            episode_id=plan.episode.episode_id,
            turn_index=plan.episode.turn_index + 2,
        )

    def _next_index(self, party: Party, episode_id: str) -> int:
        turns = self._store.turns_of(episode_id)
        if any(turn["tenant"] != party.tenant for turn in turns):
            raise ServingError(
                "rapport::episode_id belongs to somebody else", "rapport::episode_id"
            )
        return max((int(turn["turn_index"]) + 1 for turn in turns), default=0)


def _owner(party: Party) -> str:
    return party.user_id if party.known else ""
