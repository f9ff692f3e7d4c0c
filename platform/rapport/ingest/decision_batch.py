"""Records of logged decisions, of any format, as batches of rows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import polars as pl

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.checks import faults
from rapport.ingest.decision_rows import Decided, decision_rows, parse_decision
from rapport.ingest.fields import Record
from rapport.ingest.spoken import opinions
from rapport.ingest.spoken_batch import Gathered
from rapport.schema import to_table


class Logged(NamedTuple):
    """One record, under our names, or why there is none."""

    position: str
    """File name and place in it."""
    record: Record | RowError
    shown: str
    """What a refused record leaves."""


def decision_batches(records: Iterable[Logged], intake: Intake, *, source: str) -> Iterator[Batch]:
    """Check records and build their rows, `chunk_rows` at a time."""
    gathered = Gathered(intake, source)
    decided: list[Decided] = []
    for one in records:
        decided += _take(one, gathered)
        if len(decided) + len(gathered.rejects) >= intake.chunk_rows:
            yield _batch(decided, gathered)
            decided = []
    yield _batch(decided, gathered)


def _take(one: Logged, gathered: Gathered) -> list[Decided]:
    gathered.read["decisions"] += 1
    position, record, shown = one
    try:
        if isinstance(record, RowError):
            raise record
        good, bad = opinions(record)
        decided = parse_decision(
            record,
            gathered.intake,
            opinions=good,
            position=position,
            shown=shown,
            source=gathered.source,
        )
    except RowError as error:
        gathered.refuse(error, table="decisions", position=position, row=shown)
        return []
    gathered.refuse_opinions(bad, record, position=position)
    return [decided]


def _batch(decided: Sequence[Decided], gathered: Gathered) -> Batch:
    """Rows of the decisions that keep the rules of the table; the others are refused whole."""
    built = decision_rows(decided, gathered.intake, source=gathered.source)
    frame = pl.DataFrame(to_table("decisions", [rows.decision for rows in built]))
    wrong = {fault.row: fault for fault in faults("decisions", frame)}
    for place, fault in wrong.items():
        one = built[place].decided
        error = RowError(fault.field, fault.reason)
        gathered.refuse(error, table="decisions", position=one.position, row=one.shown)
    kept = [rows for place, rows in enumerate(built) if place not in wrong]
    tables: dict[str, list[dict[str, Any]]] = {
        "turns": [turn for rows in kept for turn in rows.turns],
        "decisions": [rows.decision for rows in kept],
        "feedback": [one for rows in kept for one in rows.feedback],
    }
    for name in ("turns", "feedback"):
        gathered.read[name] += len(tables[name])
    batch = Batch(
        tables={name: to_table(name, rows) for name, rows in tables.items()},
        read=gathered.read,
        rejects=gathered.rejects,
    )
    gathered.handed_over()
    return batch
