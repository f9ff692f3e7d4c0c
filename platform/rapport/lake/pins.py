"""Tables of another lake as they were: what a release is trained again from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from rapport.errors import DataError


@dataclass(frozen=True)
class Pins:
    """Versions of tables of another lake, read where the own lake's would be."""

    base: str | Path = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Delta version by table; -1 for one that was not written yet."""

    def opened(self, table: str) -> DeltaTable | None:
        """The table as it was; none where it was not written yet.

        Raises:
            DataError: That version is gone.
        """
        version = self.versions[table]
        if version < 0:
            return None
        try:
            return DeltaTable(f"{self.base}/{table}", version=version)
        except (DeltaError, OSError) as error:
            what = f"version {version} of {table} is not in {self.base} any more"
            remedy = "somebody was erased or text expired: train from the lake as it is now"
            raise DataError(what, remedy) from error
