"""What a format's reader is given, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from rapport.home import user_key
from rapport.ingest.quarantine import Reject


@dataclass(frozen=True)
class Intake:
    """Whose rows come in, and under which agreement."""

    tenant: str
    secret: bytes
    """Key of the home's hashes."""
    purposes: tuple[str, ...]
    """What rows may be used for; a row that states its own keeps those of them that are here."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Declared groups that hold for every user, such as the tenant's age band."""

    def user_key(self, user_id: str) -> str:
        """Keyed hash under which the lake knows a user."""
        return user_key(self.secret, self.tenant, user_id)


@dataclass(frozen=True)
class Batch:
    """Rows ready for the lake, and those that are not."""

    tables: Mapping[str, pa.Table]
    """By table; rows may repeat."""
    rejects: Sequence[Reject] = ()
    records: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Conversation ids of the accepted records by kind, where a record is a whole conversation."""
    facts: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Sequence[Path], Intake], Batch]
"""Reads every path of a format; raises `ConfigError` where nothing can be read."""
