"""What the lake holds already, where a row's place or owner follows from earlier ones."""

from collections.abc import Collection

import polars as pl

from rapport.lake import Lake
from rapport.schema import PURPOSES

_TURNS = ("conversation_id", "turn_id", "turn_index", "user_id")


class History:
    """Earlier rows of one tenant, looked up for a batch at a time."""

    def __init__(self, lake: Lake, *, tenant: str) -> None:
        self._lake, self._tenant = lake, tenant

    def turns(self, conversations: Collection[str]) -> pl.DataFrame:
        """Turns of some conversations: `conversation_id, turn_id, turn_index, user_id, age_band`.

        Whatever they may be used for: only places and owners are read, never what was said.
        """
        asked = pl.LazyFrame({"conversation_id": list(conversations)})
        found = [
            self._lake.scan("turns", purpose=purpose)
            .filter(pl.col("tenant") == self._tenant)
            .select(*_TURNS, age_band=pl.col("groups").map.get("age_band"))
            .join(asked, on="conversation_id", how="semi")
            .collect()
            for purpose in (PURPOSES if self._lake.version("turns") >= 0 else PURPOSES[:1])
        ]
        return pl.concat(found).unique("turn_id")

    def profiles(self, users: Collection[str]) -> pl.DataFrame:
        """The latest profile of some users, by who set it; rows of the users table."""
        asked = pl.LazyFrame({"user_id": list(users)})
        return (
            self._lake.scan("users")
            .filter(pl.col("tenant") == self._tenant)
            .join(asked, on="user_id", how="semi")
            .sort("ts")
            .unique(["user_id", "set_by"], keep="last")
            .collect()
        )
