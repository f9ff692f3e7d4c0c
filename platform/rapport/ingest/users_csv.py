"""Format `users-csv`: profiles, one row a user.

Columns: `user_id` (needed); `age_band`, `jurisdiction`, `language`, any `attributes.NAME` and
`preferences.NAME`, or `attributes` and `preferences` as JSON objects; `set_by` (user, tenant,
inferred; default tenant); `timestamp`. The latest profile of a user counts. One without a time is
as of the ingest that first saw it, and one that says what the lake already has is a duplicate.

Semicolons, tabs or bars may stand for the commas. Values are redacted like any text.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rapport.errors import RowError
from rapport.governance.redaction import redact
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.fields import Record, identifier, moment, needed, one_of, strings, text
from rapport.ingest.quarantine import Reject
from rapport.ingest.sources import sources
from rapport.ingest.tables import Columns, Row, csv_rows
from rapport.schema import to_table

_BANDS = ("age_band", "jurisdiction", "language")
_MAPS = ("attributes", "preferences")
USER_FIELDS = (
    "user_id", "timestamp", "set_by", *_BANDS, *_MAPS, *(f"{name}." for name in _MAPS),
)  # fmt: skip
_COLUMNS = Columns(USER_FIELDS, (("user_id",),))
_SETTERS = ("user", "tenant", "inferred")


def read_users_csv(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read profiles batch by batch.

    Raises:
        ConfigError: A place that nothing can be read from, or a column is missing.
    """
    now = dt.datetime.now(dt.UTC)
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for file in sources(places, endings=(".csv", ".tsv")):
        for row in csv_rows(file, _COLUMNS, intake.mapping):
            position = f"{file.name} {row.position}"
            try:
                rows.append(_profile(row, intake))
            except RowError as error:
                shown = row.kept(intake.mapping)
                rejects.append(Reject.of(error, table="users", position=position, row=shown))
            if len(rows) + len(rejects) >= intake.chunk_rows:
                yield _batch(rows, rejects, intake, now=now)
                rows, rejects, now = [], [], now + dt.timedelta(seconds=1)
    yield _batch(rows, rejects, intake, now=now)


def _profile(row: Row, intake: Intake) -> dict[str, Any]:
    record = row.record(intake.mapping)
    named = {kind: text(record, kind) for kind in _BANDS}
    attributes = _map(record, "attributes") | {k: v for k, v in named.items() if v}
    set_by = one_of(text(record, "set_by"), _SETTERS, name="set_by")
    return {
        "tenant": intake.tenant,
        "user_id": intake.user_key(needed(identifier(record, "user_id"), "user_id")),
        "attributes": {key: redact(value) for key, value in attributes.items()},
        "preferences": {k: redact(v) for k, v in _map(record, "preferences").items()},
        "set_by": set_by or "tenant",
        "ts": moment(record, "timestamp"),
    }


def _map(record: Record, name: str) -> dict[str, str]:
    prefix = f"{name}."
    cells = {
        key.removeprefix(prefix): text(record, key) for key in record if key.startswith(prefix)
    }
    return strings(record, name) | {key: value for key, value in cells.items() if value}


def _batch(
    rows: Sequence[dict[str, Any]], rejects: Sequence[Reject], intake: Intake, *, now: dt.datetime
) -> Batch:
    known = _known(rows, intake)
    met: Counter[tuple[str, str]] = Counter()
    for row in rows:
        owner = (row["user_id"], row["set_by"])
        if row["ts"] is not None:
            continue
        said = row["attributes"], row["preferences"]
        ts, earlier = known.get(owner, (None, None))
        if ts is None or earlier != said:
            ts = now + dt.timedelta(microseconds=met[owner])  # of two profiles the later row counts
            met[owner] += 1
        row["ts"] = ts
        known[owner] = ts, said
    return Batch(
        tables={"users": to_table("users", rows)},
        read={"users": len(rows) + len(rejects)},
        rejects=list(rejects),
    )


_Said = tuple[dict[str, str], dict[str, str]]


def _known(
    rows: Sequence[dict[str, Any]], intake: Intake
) -> dict[tuple[str, str], tuple[dt.datetime | None, _Said | None]]:
    users = {row["user_id"] for row in rows if row["ts"] is None}
    if intake.history is None or not users:
        return {}
    found = intake.history.profiles(users).to_arrow().to_pylist()
    return {
        (row["user_id"], row["set_by"]): (
            row["ts"],
            (dict(row["attributes"]), dict(row["preferences"])),
        )
        for row in found
    }
