"""API keys: shown once, hashed at rest."""

import hashlib
import secrets

PREFIX = "rk_"


def fresh_key() -> str:
    """Make a new key, `rk_` and 32 random bytes in URL-safe base64."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """Hash under which a key is stored: sha256, 64 hex digits (keys carry 256 random bits)."""
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(header: str | None) -> str | None:
    """Read the key out of an `Authorization` header, none when it is not a bearer token."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
