"""Formats `turns-parquet` and `turns-csv`: one row a turn.

Columns (others are passed over; foreign names by `--mapping`):

- `conversation_id`, `role` (user, assistant, tool; system is passed over), `text`: needed. A row of
  another `kind` than message (click, task_step, ...) may be without text.
- `timestamp`: ISO 8601 or Unix time; `turn_index`, 0-based. Without an index turns are numbered in
  order of time, following on what the lake holds of the conversation. `turn_id` tells apart turns
  that are the same in everything else.
- `user_id` (a conversation that has none is a user of its own), `agent_id`, `journey_id`,
  `age_band`, `jurisdiction`, `language`, `purposes` (list, or words with commas).
- `topic`, `goal`, `task_id`, `arm`, `features` (name to number).
- `rating` 1-5, `thumbs`, `task_success` 0-1, `reward` -1-1, `dwell` seconds, `comment`: feedback on
  the turn.

CSV has a header; cells may be quoted and hold line ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rapport.errors import RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.fields import Record, identifier, moment, needed, numbers, text, whole
from rapport.ingest.mapping import FieldMap
from rapport.ingest.sources import Source, sources
from rapport.ingest.spoken import (
    OPINIONS,
    WHO,
    Spoken,
    conversation_key,
    labels,
    opinions,
    role_of,
    who,
)
from rapport.ingest.spoken_batch import Gathered
from rapport.ingest.tables import Columns, Row, csv_rows, parquet_rows

TURN_FIELDS = (
    "conversation_id", "role", "text", "kind", "timestamp", "turn_index", "turn_id", *WHO,
    "topic", "goal", "task_id", "arm", "features", *OPINIONS,
)  # fmt: skip
_COLUMNS = Columns(TURN_FIELDS, (("conversation_id",), ("role",), ("text",)))

_Rows = Callable[[Source, Columns, FieldMap], Iterator[Row]]


def read_turns_csv(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read turns from CSV files batch by batch; raises as `sources` and `csv_rows` do."""
    return _read(places, intake, endings=(".csv", ".tsv"), rows=csv_rows, source="turns-csv")


def read_turns_parquet(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read turns from Parquet files batch by batch; raises as `sources` and `parquet_rows` do."""
    return _read(
        places, intake, endings=(".parquet", ".pq"), rows=parquet_rows, source="turns-parquet"
    )


def _read(
    places: Sequence[str], intake: Intake, *, endings: Sequence[str], rows: _Rows, source: str
) -> Iterator[Batch]:
    gathered = Gathered(intake, source)
    for file in sources(places, endings=endings):
        for row in rows(file, _COLUMNS, intake.mapping):
            _take(row, gathered, position=f"{file.name} {row.position}")
            if gathered.full:
                yield gathered.handed_over()
    yield gathered.handed_over()


def _take(row: Row, gathered: Gathered, *, position: str) -> None:
    intake = gathered.intake
    try:
        record = row.record(intake.mapping)
        turn = _turn(record, intake)
    except RowError as error:
        gathered.read["turns"] += 1
        kept = row.kept(intake.mapping)
        gathered.refuse(error, table="turns", position=position, row=kept)
        return
    if turn is None:
        gathered.facts["system_turns"] = gathered.facts.get("system_turns", 0) + 1
        return
    good, bad = opinions(record)
    gathered.take([replace(turn, opinions=good)])
    gathered.refuse_opinions(bad, record, position=position)


def _turn(record: Record, intake: Intake) -> Spoken | None:
    name = needed(identifier(record, "conversation_id"), "conversation_id")
    role = role_of(record, intake, where="role")
    said, kind = text(record, "text"), text(record, "kind") or "message"
    if said is None and kind == "message":
        needed(said, "text")
    index, ts = whole(record, "turn_index"), moment(record, "timestamp")
    own = identifier(record, "turn_id") or (str(index) if index is not None else None)
    owner, told = who(record, intake), labels(record, intake)
    features = tuple(numbers(record, "features").items())
    if role == "system":
        return None
    return Spoken(
        conversation_id=conversation_key(intake.tenant, name),
        identity=(own or (ts.isoformat() if ts else ""), role, kind, said or ""),
        who=owner,
        role=role,
        text=said,
        kind=kind,
        index=index,
        ts=ts,
        labels=told,
        features=features,
        alone=True,
    )
