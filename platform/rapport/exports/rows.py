"""The decisions that may be learned from, each with the reward it earned.

Only what was delivered in full, with a propensity that was known when the choice was made: an
estimated one would pass for the truth elsewhere. Nothing of a crisis, no text and no raw user id.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from rapport.lake import Lake
from rapport.schema import CRISIS_FACET

PURPOSE = "train"
_DELIVERED = "full"
_ESTIMATED = "estimated"
_ROWS = 5_000

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Logged:
    """One decision and what came of it."""

    row: Row
    """Of the table `decisions`, maps as dictionaries."""
    reward: float | None
    """In [-1, 1]; none where nothing came back."""

    @property
    def features(self) -> Mapping[str, float]:
        """What was known when it was made."""
        return self.row["features"] or {}

    def names(self) -> list[str]:
        """What each candidate is called as an action: its arm, or the client's name for it."""
        own = f"{self.row['decision_id']}/"
        return [
            one["candidate_id"]
            if one["arm"] is None
            or (self.row["mode"] == "rank" and not one["candidate_id"].startswith(own))
            else one["arm"]
            for one in self.row["candidates"]
        ]

    def shares(self) -> dict[str, float]:
        """Probability of each action; of candidates that are the same action, together."""
        shares: dict[str, float] = {}
        for name, one in zip(self.names(), self.row["candidates"], strict=True):
            shares[name] = shares.get(name, 0.0) + one["probability"]
        return shares

    @property
    def taken(self) -> str:
        """The action that was taken."""
        return self.names()[self.row["action_index"]]


@dataclass
class Decisions:
    """A tenant's decisions, read as often as asked, a few thousand at a time."""

    lake: Lake
    tenant: str = "default"
    left_out: Counter[str] = field(default_factory=Counter)
    """What the last reading passed over, by reason."""

    def __iter__(self) -> Iterator[Logged]:
        self.left_out.clear()
        rewards = self._rewards()
        found = self.lake.scan("decisions", purpose=PURPOSE).filter(tenant=self.tenant)
        for batch in self.lake.batches(found, size=_ROWS):
            rows = batch.join(rewards, on="decision_id", how="left", maintain_order="left")
            for row in rows.to_arrow().to_pylist(maps_as_pydicts="lossy"):
                reason = _unfit(row)
                if reason is None:
                    yield Logged(row, row.pop("reward"))
                else:
                    self.left_out[reason] += 1

    def _rewards(self) -> pl.DataFrame:
        rewards = self.lake.scan("rewards", purpose=PURPOSE).filter(tenant=self.tenant)
        latest = rewards.sort("as_of").unique("decision_id", keep="last")
        return latest.select("decision_id", reward="value").collect()


def _unfit(row: Row) -> str | None:
    """Why a decision is not to be learned from; none where it is."""
    if any(one["guard"] == CRISIS_FACET for one in row["candidates"]):
        return CRISIS_FACET
    if row["delivered"] != _DELIVERED:
        return str(row["delivered"])
    return "propensity estimated" if row["propensity_source"] == _ESTIMATED else None
