"""API keys: shown once, hashed at rest, with scopes, and bound to agents where they should be."""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping

from rapport.arms import agents as known_agents
from rapport.errors import ConfigError, UnknownNameError

PREFIX = "rk_"
SCOPES: Mapping[str, str] = {
    "serve": "an application: chat, rank, what is served, its users' profiles, feedback",
    "feedback": "feedback alone, for a page or a job that reports outcomes",
    "read": "look back: decisions, users' states, releases",
    "affect": "see in what it reads also persona, sentiment, emotion and crisis",
    "admin": "everything",
}
"""Scopes and what each opens."""
APPLICATION = frozenset({"serve", "read", "affect"})
"""What the key that `rapport serve` prints opens."""
_INCLUDES: Mapping[str, frozenset[str]] = {
    "serve": frozenset({"serve", "feedback"}),
    "admin": frozenset(SCOPES),
}
_AGENT = "agent:"


def fresh_key() -> str:
    """Make a new key, `rk_` and 32 random bytes in URL-safe base64."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """Hash under which a key is stored: sha256, 64 hex digits (keys carry 256 random bits)."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def bearer(header: str | None) -> str | None:
    """Read the key out of an `Authorization` header, none when it is not a bearer token."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def granted(scopes: Iterable[str], *, agents: Iterable[str] = ()) -> frozenset[str]:
    """Scopes as a key keeps them: checked, with the agents it is bound to among them.

    Raises:
        ConfigError: None is given.
        UnknownNameError: A scope or an agent that does not exist.
    """
    wanted, bound = list(scopes), list(agents)
    if not wanted:
        raise ConfigError("scopes", wanted, f"name one or more of {', '.join(SCOPES)}")
    for scope in wanted:
        if scope not in SCOPES:
            raise UnknownNameError("scope", scope, list(SCOPES))
    for agent in bound:
        if agent not in known_agents():
            raise UnknownNameError("agent", agent, list(known_agents()))
    return frozenset([*wanted, *(f"{_AGENT}{agent}" for agent in bound)])


def opens(scopes: Collection[str], needed: str) -> bool:
    """Whether a key with these scopes opens what needs another."""
    return any(needed in _INCLUDES.get(scope, {scope}) for scope in scopes)


def agents_of(scopes: Iterable[str]) -> frozenset[str]:
    """Agents a key is bound to; empty where it may speak for all."""
    return frozenset(scope.removeprefix(_AGENT) for scope in scopes if scope.startswith(_AGENT))
