"""What a format's reader is given, and what it gives back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from rapport.bounds import CHUNK_ROWS
from rapport.errors import ConfigError
from rapport.governance.tenants import TenantPolicy
from rapport.home import user_key
from rapport.ingest.history import History
from rapport.ingest.mapping import AS_NAMED, FieldMap
from rapport.ingest.quarantine import Reject


@dataclass(frozen=True)
class Intake:
    """Whose rows come in, and under which agreement."""

    tenant: str
    secret: bytes
    """Key of the home's hashes."""
    policy: TenantPolicy
    declared: Sequence[str] | None = None
    """What the rows may be used for, said for all of them; none for the tenant's default."""
    mapping: FieldMap = AS_NAMED
    """Names that the log has for our fields."""
    history: History | None = None
    """What the lake holds of the same tenant already; none for nothing."""
    chunk_rows: int = CHUNK_ROWS
    """Rows that a reader of large files holds at once."""

    def user_key(self, user_id: str) -> str:
        """Keyed hash under which the lake knows a user."""
        return user_key(self.secret, self.tenant, user_id)

    def purposes_for(self, age_band: str | None) -> tuple[str, ...]:
        """What rows of a user of this age band, none for not stated, may be used for at most."""
        return self.policy.purposes_for(self.declared, age_band=age_band)

    def purposes_of_all(self) -> tuple[str, ...]:
        """What rows may be used for in a format that says nothing of its users.

        Raises:
            ConfigError: For nothing, so that nobody could ever read them.
        """
        purposes = self.purposes_for(None)
        if not purposes:
            remedy = (
                f"tenant {self.tenant!r} may use the rows for none of them; "
                "declare others, or set its default_age_band in the tenants file"
            )
            raise ConfigError("purposes", tuple(self.declared or ()), remedy)
        return purposes


@dataclass(frozen=True)
class Batch:
    """Rows ready for the lake, and those that are not."""

    tables: Mapping[str, pa.Table]
    """By table; rows may repeat."""
    read: Mapping[str, int]
    """Rows that came in, good and bad, by table and kind of record."""
    rejects: Sequence[Reject] = ()
    records: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Conversation ids of the accepted records by kind, where a record is a whole conversation."""
    facts: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Sequence[str], Intake], Batch | Iterable[Batch]]
"""Reads every path of a format, whole or batch by batch; raises `ConfigError` where nothing can be
read. A batch is landed before the next is asked for, so memory holds one of them."""
