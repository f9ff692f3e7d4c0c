"""Format `simulation`: a folder that `rapport simulate` made.

Rows are of schema version 1 already, with raw user ids: they are checked, their users hashed and
their texts cleaned, some thousand at a time, whole columns of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.checks import Fault, faults
from rapport.ingest.quarantine import Reject, dumped
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, schema_of

SOURCE = "simulation"
TABLES = ("turns", "decisions", "feedback", "users")
_REMEDY = "make a folder with: rapport simulate --users 1500 --seed 1 --out DIR"
_PRIVATE = ("user_id", "text")


def read_simulation(paths: Sequence[Path], intake: Intake) -> Iterator[Batch]:
    """Read the tables of simulated logs, at most `intake.chunk_rows` rows at a time.

    Turns come before decisions: a decision beside a crisis is known by its turn. What is kept of
    the turns till then is where the crises were.

    Raises:
        ConfigError: A path that is no folder with such tables, or a table of another schema.
    """
    found = [_files(path) for path in paths]
    files = [files[name] for name in TABLES for files in found if name in files]
    for file in files:
        _check_columns(file)
    crises = _crises(None)
    for file in files:
        for start, frame in _chunks(file, rows=intake.chunk_rows):
            wrong = faults(file.stem, frame := _stamped(file.stem, frame, intake))
            rejects = [_reject(file, frame, fault, start=start) for fault in wrong]
            good = _without(frame, [fault.row for fault in wrong])
            cleaned = _cleaned(file.stem, good, intake, crises=crises)
            if file.stem == "turns":
                crises = pl.concat([crises, _crises(cleaned)])
            yield Batch(
                tables={file.stem: cleaned.to_arrow()},
                read={file.stem: frame.height},
                rejects=rejects,
            )


def _files(folder: Path) -> dict[str, Path]:
    files = {name: folder / f"{name}.parquet" for name in TABLES}
    found = {name: file for name, file in files.items() if file.is_file()}
    if not found:
        raise ConfigError("path", str(folder), f"it is no simulated log; {_REMEDY}")
    return found


def _check_columns(file: Path) -> None:
    """Refuse a file that lacks a needed column, before anything is stored."""
    with _opened(file) as parquet:
        names = parquet.schema_arrow.names
    for field in schema_of(file.stem):
        if not field.nullable and field.name not in names:
            raise ConfigError("path", str(file), f"column {field.name!r} is missing; {_REMEDY}")


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> ConfigError:
    remedy = f"it is no readable parquet file ({type(error).__name__}); {_REMEDY}"
    return ConfigError("path", str(file), remedy)


def _chunks(file: Path, *, rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Rows of a table from its first one on, each chunk with the number of rows before it.

    A table has one chunk at least.
    """
    start = 0
    with _opened(file) as parquet:
        try:
            for batch in parquet.iter_batches(batch_size=rows):
                yield start, _fitted(pa.table(batch), file=file)
                start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from error
        if not start:
            yield 0, _fitted(parquet.schema_arrow.empty_table(), file=file)


def _fitted(table: pa.Table, *, file: Path) -> pl.DataFrame:
    """Rows with the columns of the schema; nullable ones that are missing become null."""
    schema = schema_of(file.stem)
    columns = [
        _cast(table.column(field.name), field, file=file)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    # Without the schema's own promise of no nulls: whether it is kept is what is checked next.
    return pl.DataFrame(pa.Table.from_arrays(columns, names=schema.names))


def _cast(column: pa.ChunkedArray, field: pa.Field, *, file: Path) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        remedy = f"column {field.name!r} is {column.type}, needed is {field.type}; {_REMEDY}"
        raise ConfigError("path", str(file), remedy) from error


def _reject(file: Path, frame: pl.DataFrame, fault: Fault, *, start: int) -> Reject:
    return Reject.of(
        RowError(fault.field, fault.reason),
        table=file.stem,
        position=f"{file.name} row {start + fault.row + 1}",
        row=_shown(frame, fault.row),
    )


def _stamped(table: str, frame: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    """Give rows their tenant and source, and leave them the purposes that are allowed here."""
    frame = frame.with_columns(tenant=pl.lit(intake.tenant))
    if table == "users":
        return frame
    return frame.with_columns(source=pl.lit(SOURCE), purposes=_purposes(frame, intake))


def _purposes(frame: pl.DataFrame, intake: Intake) -> pl.Expr:
    """A row's own purposes as far as the tenant may use rows of a user of that age."""
    band, own = pl.col("groups").map.get("age_band"), pl.col("purposes")
    kept = []
    for age_band in frame.select(band).to_series().unique():
        allowed = pl.element().filter(pl.element().is_in(intake.purposes_for(age_band)))
        kept.append(pl.when(band.eq_missing(age_band)).then(own.list.eval(allowed)))
    return pl.coalesce(*kept, own)


def _without(frame: pl.DataFrame, rows: Sequence[int]) -> pl.DataFrame:
    left = frame.with_row_index("row").filter(~pl.col("row").is_in(list(rows)))
    return left.drop("row")


def _shown(frame: pl.DataFrame, row: int) -> str:
    """A refused row without its user and what was said."""
    values = frame.row(row, named=True)
    for candidate in values.get("candidates") or ():
        candidate.pop("text", None)
    return dumped({key: value for key, value in values.items() if key not in _PRIVATE})


def _cleaned(
    table: str, frame: pl.DataFrame, intake: Intake, *, crises: pl.DataFrame
) -> pl.DataFrame:
    """Hash users and clean texts; `crises` are of the turns before."""
    frame = _hashed(frame, intake)
    if table == "users":
        return frame
    replaced = _replaced(table, frame)
    if table == "decisions":
        return _weighed(frame, replaced=replaced, crises=crises)
    frame = frame.with_columns(pl.col("text").replace(replaced))
    if table == "turns":
        facet = pl.when(pl.col("text") == CRISIS_TEXT).then(pl.lit(CRISIS_FACET))
        frame = frame.with_columns(facet=facet.otherwise("facet"))
    return frame


def _replaced(table: str, frame: pl.DataFrame) -> dict[str, str]:
    """Texts that may not be stored as they are, and what stands for them."""
    said = pl.col("text")
    if table == "decisions":
        said = pl.col("candidates").explode().struct.field("text")
    texts = frame.select(said).to_series().drop_nulls().unique(maintain_order=True)
    return {text: stored for text, stored in stored_texts(texts).items() if text != stored}


def _hashed(frame: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    raw = frame["user_id"].unique(maintain_order=True).to_list()
    keys = {user_id: intake.user_key(user_id) for user_id in raw}
    return frame.with_columns(pl.col("user_id").replace_strict(keys, return_dtype=pl.String))


def _crises(turns: pl.DataFrame | None) -> pl.DataFrame:
    """Where a crisis was spoken of: `episode_id`, `turn_index` of the reply it touches."""
    if turns is None:
        return pl.DataFrame(schema={"episode_id": pl.String, "turn_index": pl.Int32})
    reply = pl.col("turn_index") + (pl.col("role") == "user").cast(pl.Int32)
    said = turns.filter(pl.col("text") == CRISIS_TEXT)
    return said.select(episode_id="conversation_id", turn_index=reply).unique()


def _weighed(
    decisions: pl.DataFrame, *, replaced: Mapping[str, str], crises: pl.DataFrame
) -> pl.DataFrame:
    """Clean the candidates' texts; mark those beside a crisis, so that nothing learns of them."""
    candidate = pl.element().struct
    texts: Any = pl.field("text").replace(dict(replaced))
    decisions = decisions.with_columns(
        pl.col("candidates").list.eval(candidate.with_fields(texts.alias("text")))
    )
    guarded = pl.col("candidates").list.eval(
        candidate.with_fields(pl.lit(CRISIS_FACET).alias("guard"))
    )
    touched = decisions.join(
        crises.with_columns(touched=pl.lit(value=True)),
        on=["episode_id", "turn_index"],
        how="left",
        maintain_order="left",
    )
    marked = pl.when(pl.col("touched")).then(guarded).otherwise("candidates")
    return touched.with_columns(candidates=marked).drop("touched")
