"""API keys: only their hashes are kept."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from rapport.errors import UnknownNameError
from rapport.store.database import Database
from rapport.store.tables import keys, microseconds, moment


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key."""

    key_hash: str
    tenant: str
    scopes: frozenset[str]
    label: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key opens anything at a moment."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Keys:
    """Keys by hash. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        key_hash: str,
        *,
        tenant: str,
        scopes: Collection[str],
        label: str = "",
        expires: datetime | None = None,
    ) -> ApiKey:
        """Admit a new key; `expires` has a time zone, none for no end."""
        key = ApiKey(
            key_hash, tenant, frozenset(scopes), label, created=datetime.now(UTC), expires=expires
        )
        row = {
            "key_hash": key_hash,
            "tenant": tenant,
            "label": label,
            "scopes": json.dumps(sorted(key.scopes)),
            "created": microseconds(key.created),
            "expires": None if expires is None else microseconds(expires),
            "revoked": None,
        }
        with self._database.writing() as connection:
            connection.execute(insert(keys).values(row))
        return key

    def valid(self, key_hash: str) -> ApiKey | None:
        """The key with this hash if it is neither expired nor revoked."""
        with self._database.reading() as connection:
            row = connection.execute(select(keys).where(keys.c.key_hash == key_hash)).one_or_none()
        key = None if row is None else _key(row)
        return key if key and key.is_valid(datetime.now(UTC)) else None

    def all(self) -> list[ApiKey]:
        """Every key ever admitted, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created)).all()
        return [_key(row) for row in rows]

    def revoke(self, key_hash: str) -> None:
        """Close a key for good; closing it again changes nothing.

        Raises:
            UnknownNameError: No key has this hash.
        """
        mine = keys.c.key_hash == key_hash
        now = microseconds(datetime.now(UTC))
        with self._database.writing() as connection:
            if connection.scalar(select(keys.c.key_hash).where(mine)) is None:
                known = connection.scalars(select(keys.c.key_hash)).all()
                raise UnknownNameError("key", key_hash[:8], [other[:8] for other in known])
            fresh = update(keys).where(mine, keys.c.revoked.is_(None))
            connection.execute(fresh.values(revoked=now))


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_hash=row.key_hash,
        tenant=row.tenant,
        scopes=frozenset(json.loads(row.scopes)),
        label=row.label,
        created=moment(row.created),
        expires=None if row.expires is None else moment(row.expires),
        revoked=None if row.revoked is None else moment(row.revoked),
    )
