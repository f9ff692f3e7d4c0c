"""Format `simulation`: a folder that `rapport simulate` made.

Rows are of schema version 1 already, with raw user ids: they are checked, their users hashed and
their texts cleaned, whole columns at a time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.checks import faults
from rapport.ingest.quarantine import Reject, dumped
from rapport.ingest.texts import stored_texts
from rapport.schema import CRISIS_FACET, CRISIS_TEXT, schema_of

SOURCE = "simulation"
TABLES = ("turns", "decisions", "feedback", "users")
_REMEDY = "make a folder with: rapport simulate --users 1500 --seed 1 --out DIR"
_PRIVATE = ("user_id", "text")


def read_simulation(paths: Sequence[Path], intake: Intake) -> Batch:
    """Read the tables of simulated logs.

    Raises:
        ConfigError: A path that is no folder with such tables, or a table of another schema.
    """
    tables: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLES}
    rejects: list[Reject] = []
    read: Counter[str] = Counter()
    for file in (file for path in paths for file in _files(path)):
        frame = _stamped(file.stem, _read(file), intake)
        read[file.stem] += frame.height
        wrong = faults(file.stem, frame)
        rejects += [
            Reject.of(
                RowError(fault.field, fault.reason),
                table=file.stem,
                position=f"{file.name} row {fault.row + 1}",
                row=_shown(frame, fault.row),
            )
            for fault in wrong
        ]
        tables[file.stem].append(_without(frame, [fault.row for fault in wrong]))
    merged = {name: pl.concat(frames) for name, frames in tables.items() if frames}
    return Batch(
        tables={name: frame.to_arrow() for name, frame in _cleaned(merged, intake).items()},
        read=read,
        rejects=rejects,
    )


def _files(folder: Path) -> list[Path]:
    files = [folder / f"{name}.parquet" for name in TABLES]
    found = [file for file in files if file.is_file()]
    if not found:
        raise ConfigError("path", str(folder), f"it is no simulated log; {_REMEDY}")
    return found


def _read(file: Path) -> pl.DataFrame:
    """Read a table with the columns of the schema; nullable ones that are missing become null."""
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        remedy = f"it is no readable parquet file ({type(error).__name__}); {_REMEDY}"
        raise ConfigError("path", str(file), remedy) from error
    columns = []
    for field in schema_of(file.stem):
        if field.name in table.column_names:
            columns.append(_cast(table.column(field.name), field, file=file))
        elif field.nullable:
            columns.append(pa.nulls(table.num_rows, field.type))
        else:
            raise ConfigError("path", str(file), f"column {field.name!r} is missing; {_REMEDY}")
    # Without the schema's own promise of no nulls: whether it is kept is what is checked next.
    return pl.DataFrame(pa.Table.from_arrays(columns, names=schema_of(file.stem).names))


def _cast(column: pa.ChunkedArray, field: pa.Field, *, file: Path) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        remedy = f"column {field.name!r} is {column.type}, needed is {field.type}; {_REMEDY}"
        raise ConfigError("path", str(file), remedy) from error


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


def _cleaned(tables: Mapping[str, pl.DataFrame], intake: Intake) -> dict[str, pl.DataFrame]:
    replaced = _replaced(tables)
    cleaned = {name: _hashed(frame, intake) for name, frame in tables.items()}
    for name in ("turns", "feedback"):
        if name in cleaned:
            cleaned[name] = cleaned[name].with_columns(pl.col("text").replace(replaced))
    if "turns" in cleaned:
        facet = pl.when(pl.col("text") == CRISIS_TEXT).then(pl.lit(CRISIS_FACET))
        cleaned["turns"] = cleaned["turns"].with_columns(facet=facet.otherwise("facet"))
    if "decisions" in cleaned:
        cleaned["decisions"] = _weighed(
            cleaned["decisions"], replaced=replaced, crises=_crises(cleaned.get("turns"))
        )
    return cleaned


def _replaced(tables: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """Texts that may not be stored as they are, and what stands for them."""
    columns = [tables[name]["text"] for name in ("turns", "feedback") if name in tables]
    if "decisions" in tables:
        said = tables["decisions"].select(pl.col("candidates").explode().struct.field("text"))
        columns.append(said["text"])
    texts = pl.concat(columns).drop_nulls().unique(maintain_order=True) if columns else ()
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
