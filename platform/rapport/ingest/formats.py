"""Formats by name, and the one way in: read, refuse, look up, append, count."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rapport.bounds import CHUNK_ROWS
from rapport.errors import ConfigError, UnknownNameError
from rapport.governance.tenants import TenantPolicy
from rapport.ingest.batch import Batch, Intake, Reader
from rapport.ingest.calls import CALL_FIELDS
from rapport.ingest.counts import Counts, Tally, merged, reasons_of
from rapport.ingest.decisions_parquet import DECISION_FIELDS, read_decisions_parquet
from rapport.ingest.esconv import read_esconv
from rapport.ingest.history import History
from rapport.ingest.landing import KEYS, Landed, Landing
from rapport.ingest.langfuse import read_langfuse
from rapport.ingest.mapping import load_mapping
from rapport.ingest.open_bandit import read_open_bandit
from rapport.ingest.openai_jsonl import CHAT_FIELDS, read_openai_jsonl
from rapport.ingest.otel_genai import read_otel_genai
from rapport.ingest.quarantine import quarantine_rows
from rapport.ingest.simulation import read_simulation
from rapport.ingest.tensorzero import read_tensorzero
from rapport.ingest.turns_table import TURN_FIELDS, read_turns_csv, read_turns_parquet
from rapport.ingest.users_csv import USER_FIELDS, read_users_csv
from rapport.ingest.vw_dsjson import read_vw_dsjson
from rapport.lake import Lake
from rapport.progress import Advance, progress


def _of_paths(read: Callable[[Sequence[Path], Intake], Batch | Iterable[Batch]]) -> Reader:
    """A reader of local files only."""

    def reader(places: Sequence[str], intake: Intake) -> Batch | Iterable[Batch]:
        remote = [place for place in places if "://" in place]
        if remote:
            raise ConfigError("path", remote[0], "this format is read from local files only")
        return read([Path(place) for place in places], intake)

    return reader


FORMATS: Mapping[str, Reader] = {
    "simulation": _of_paths(read_simulation),
    "esconv": _of_paths(read_esconv),
    "openai-jsonl": read_openai_jsonl,
    "turns-parquet": read_turns_parquet,
    "turns-csv": read_turns_csv,
    "users-csv": read_users_csv,
    "decisions-parquet": read_decisions_parquet,
    "obd": read_open_bandit,
    "vw-dsjson": read_vw_dsjson,
    "langfuse": read_langfuse,
    "otel-genai": read_otel_genai,
    "tensorzero": read_tensorzero,
}
"""Reader of each format."""

FIELDS: Mapping[str, Sequence[str]] = {
    "openai-jsonl": CHAT_FIELDS,
    "turns-parquet": TURN_FIELDS,
    "turns-csv": TURN_FIELDS,
    "users-csv": USER_FIELDS,
    "decisions-parquet": DECISION_FIELDS,
    "langfuse": CALL_FIELDS,
    "otel-genai": CALL_FIELDS,
    "tensorzero": CALL_FIELDS,
}
"""Fields of the formats that take a mapping."""


def ingest(  # noqa: PLR0913  (one call is the whole of it)
    format: str,  # noqa: A002  (what the command line calls it)
    paths: Sequence[str | Path],
    *,
    lake: Lake,
    secret: bytes,
    policy: TenantPolicy,
    tenant: str = "default",
    purposes: Sequence[str] | None = None,
    mapping: Path | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Counts:
    """Bring somebody's logs into the lake; good rows go in, bad ones to quarantine.

    Idempotent by content and safe to repeat after a crash: rows that are there already are counted
    as duplicates. Texts are redacted and users hashed before anything is stored. Large inputs land
    batch by batch, so a run that is killed keeps what it had.

    Args:
        format: A name in `FORMATS`.
        paths: Files, folders, globs or object-store URIs of that format.
        lake: Where the rows go.
        secret: Key of the home's user hashes.
        policy: The tenant's.
        tenant: Whose users these are.
        purposes: What their rows may be used for; none for the policy's default.
        mapping: YAML file `our field: their column`, for logs with names of their own.
        chunk_rows: Rows held at once by formats that are read in pieces.

    Raises:
        UnknownNameError: No such format.
        ConfigError: A path that nothing can be read from, no purpose that the policy allows, or a
            mapping that does not fit the format or the files.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, sorted(FORMATS))
    if not paths:
        raise ConfigError("paths", list(paths), "name at least one file or folder")
    intake = Intake(
        tenant=tenant,
        secret=secret,
        policy=policy,
        declared=purposes,
        mapping=load_mapping(mapping, format_=format, fields=FIELDS.get(format, ())),
        history=History(lake, tenant=tenant),
        chunk_rows=chunk_rows,
    )
    intake.purposes_for(None)  # refuses a purpose that is not known
    read = FORMATS[format]([str(path) for path in paths], intake)
    batches = [read] if isinstance(read, Batch) else read
    landing = Landing(lake)
    with progress("ingesting rows", None) as advance:
        return merged(
            _landed(format, batch, landing=landing, tenant=tenant)
            for batch in _watched(batches, advance)
        )


def _watched(batches: Iterable[Batch], advance: Advance) -> Iterator[Batch]:
    """Count the rows of batches as they pass."""
    for batch in batches:
        yield batch
        advance(sum(batch.read.values()))


def _landed(format_: str, batch: Batch, *, landing: Landing, tenant: str) -> Counts:
    rejected = quarantine_rows(batch.rejects, tenant=tenant, source=format_)
    rows = {**batch.tables, "quarantine": rejected}
    landed = {name: landing.land(name, rows[name]) for name in KEYS if name in rows}
    return _counted(format_, batch, landed)


def _counted(format_: str, batch: Batch, landed: Mapping[str, Landed]) -> Counts:
    refused = Counter(reject.table for reject in batch.rejects)
    records = {
        kind: Tally(batch.read.get(kind, 0), *pair, refused[kind])
        for kind, pair in _records(batch, landed).items()
    }
    tables = {
        name: Tally(batch.read.get(name, 0), one.fresh.height, one.duplicate, refused[name])
        for name, one in landed.items()
        if name != "quarantine"
    }
    quarantine = landed["quarantine"]
    return Counts(
        format=format_,
        tables={**records, **tables},
        quarantine=Tally(len(batch.rejects), quarantine.fresh.height, quarantine.duplicate),
        reasons=reasons_of(batch.rejects),
        facts=batch.facts,
    )


def _records(batch: Batch, landed: Mapping[str, Landed]) -> dict[str, tuple[int, int]]:
    """Kept and duplicate records of each kind: a record is kept if a turn of it was new."""
    if not batch.records:
        return {}
    new = set(landed["turns"].fresh["conversation_id"])
    kept = {kind: len(new & set(ids)) for kind, ids in batch.records.items()}
    return {kind: (kept[kind], len(ids) - kept[kind]) for kind, ids in batch.records.items()}
