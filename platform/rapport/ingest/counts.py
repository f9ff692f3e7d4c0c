"""What an ingest did with everything it read."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

from rapport.ingest.quarantine import Reject
from rapport.schema import SCHEMAS


@dataclass(frozen=True)
class Tally:
    """Rows of one table; `read` = `kept` + `duplicate` + `quarantined`."""

    read: int = 0
    """Counted where the rows came in."""
    kept: int = 0
    """New in the lake."""
    duplicate: int = 0
    """Already there, or twice in the input."""
    quarantined: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Tally(*(one + two for one, two in pairs))


@dataclass(frozen=True)
class Counts:
    """An ingest, accounted for."""

    format: str
    tables: Mapping[str, Tally]
    """By table; formats whose records become several rows count the records beside."""
    quarantine: Tally
    """Rows of the quarantine table: every rejected row of `tables` is one of them."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Rejected rows by field and reason."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the format has to say beside, such as the dialogues it accepted."""

    def as_dict(self) -> dict[str, Any]:
        """One JSON object; the top level has the accepted rows of each table."""
        accepted = {
            name: tally.kept + tally.duplicate
            for name, tally in self.tables.items()
            if name in SCHEMAS
        }
        return {
            "format": self.format,
            **accepted,
            "quarantined": self.quarantine.read,
            **self.facts,
            "tables": {name: asdict(tally) for name, tally in self.tables.items()},
            "quarantine": asdict(self.quarantine),
            "reasons": dict(self.reasons),
        }


def merged(parts: Iterable[Counts]) -> Counts:
    """Counts of the batches of one ingest, one at least, as counts of the whole.

    Facts that are numbers add up, of others the last one stands.
    """
    whole, *others = parts
    tables: dict[str, Tally] = dict(whole.tables)
    quarantine, reasons, facts = whole.quarantine, Counter(whole.reasons), dict(whole.facts)
    for part in others:
        for name, tally in part.tables.items():
            tables[name] = tables.get(name, Tally()) + tally
        quarantine += part.quarantine
        reasons.update(part.reasons)
        numbers = {name: value for name, value in part.facts.items() if isinstance(value, int)}
        facts |= {**part.facts, **{name: facts.get(name, 0) + n for name, n in numbers.items()}}
    return Counts(whole.format, tables, quarantine, dict(reasons.most_common()), facts)


def reasons_of(rejects: Iterable[Reject]) -> dict[str, int]:
    """Rejects by field (without positions inside it) and reason, most frequent first."""
    return dict(Counter(_name(reject) for reject in rejects).most_common())


def _name(reject: Reject) -> str:
    if not reject.field:
        return reject.reason
    return f"{re.sub(r'[0-9]+', '', reject.field)}: {reject.reason}"
