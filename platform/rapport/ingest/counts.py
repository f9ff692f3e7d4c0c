"""What an ingest did with everything it read."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rapport.ingest.quarantine import Reject


@dataclass(frozen=True)
class Tally:
    """Rows of one table; `read` = `kept` + `duplicate` + `quarantined`."""

    kept: int = 0
    """New in the lake."""
    duplicate: int = 0
    """Already there, or twice in the input."""
    quarantined: int = 0

    @property
    def read(self) -> int:
        """Rows that came in."""
        return self.kept + self.duplicate + self.quarantined

    def as_dict(self) -> dict[str, int]:
        """The four numbers by name."""
        return {
            "read": self.read,
            "kept": self.kept,
            "duplicate": self.duplicate,
            "quarantined": self.quarantined,
        }


@dataclass(frozen=True)
class Counts:
    """An ingest, accounted for."""

    format: str
    tables: Mapping[str, Tally]
    """By table; formats whose records become several rows count those as `dialogues` beside."""
    quarantine: Tally
    """Rows of the quarantine table: every rejected row of `tables` is one of them."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Rejected rows by field and reason."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the format has to say beside, such as the dialogues it accepted."""

    def as_dict(self) -> dict[str, Any]:
        """One JSON object; the top level has the accepted rows of each table."""
        accepted = {name: tally.kept + tally.duplicate for name, tally in self.tables.items()}
        return {
            "format": self.format,
            **accepted,
            "quarantined": self.quarantine.read,
            **self.facts,
            "tables": {name: tally.as_dict() for name, tally in self.tables.items()},
            "quarantine": self.quarantine.as_dict(),
            "reasons": dict(self.reasons),
        }


def reasons_of(rejects: Iterable[Reject]) -> dict[str, int]:
    """Rejects by field (without positions inside it) and reason, most frequent first."""
    names = (
        f"{re.sub(r'\d+', '', reject.field)}: {reject.reason}" if reject.field else reject.reason
        for reject in rejects
    )
    return dict(Counter(names).most_common())
