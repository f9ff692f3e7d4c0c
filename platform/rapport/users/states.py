"""User vectors from events and turn vectors: part by part, and only of users with something new."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from rapport.bounds import HELD_TURNS
from rapport.errors import DataError, TooLittleDataError
from rapport.lake import Lake
from rapport.scratch import replace_text, replaced
from rapport.users.encoder import HALF_LIFE_DAYS, UserEncoder
from rapport.users.features import MEASURES, cuts_of, measures
from rapport.users.parts import Mapper, Parts
from rapport.users.timelines import events_of, in_order

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

PURPOSE = "infer_affect"
"""What turns are read for here: a user's vector serves to infer persona and feeling."""
GROWTH = 2.0
"""The encoder is fitted anew when the population is more than this many times that of its fit."""
FITTED_VALUES = 5_000_000
"""Measured values of one kind the percentiles are taken over: whole parts, hence users at random,
until there are as many."""
_READ = ("turns", "feedback", "turn_embeddings")
_WRITTEN = "user_embeddings"
_FILE = "user_states.json"


@dataclass(frozen=True)
class StateSettings:
    """How user vectors are made."""

    half_life_days: float = HALF_LIFE_DAYS
    """Days after which an event counts half; higher forgets more slowly."""
    refit: bool = False
    """Whether to fit the encoder anew though the last one would do."""
    tenant: str = "default"
    held_turns: int = HELD_TURNS
    """Turns of users worked on at once; bounds memory, at about 10 KB a turn."""
    scratch: Path | None = None
    """Where temporary files go, none for the system's place."""


@dataclass(frozen=True)
class Kept:
    """What the last run left: the encoder, the users it was fitted on, the rows it had seen."""

    encoder: UserEncoder
    fitted_on: int
    versions: Mapping[str, int]
    """Lake versions of the tables read, rows that came later being new, and of the one written:
    where it is another now, somebody else wrote it, or a run died before it could say so here."""
    tenant: str = "default"

    def save(self, folder: Path) -> None:
        """Write the encoder to `folder/encoder`, and beside it what it has seen."""
        with replaced(folder / "encoder") as fresh:
            self.encoder.save(fresh)
        stated = {
            "tenant": self.tenant,
            "fitted_on": self.fitted_on,
            "versions": dict(self.versions),
        }
        replace_text(folder / _FILE, json.dumps(stated, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Kept | None":
        """Read it back; none where no run has ended here, or its encoder has another layout."""
        try:
            stated = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            encoder = UserEncoder.load(folder / "encoder")
            versions, tenant = stated["versions"], str(stated["tenant"])
            return cls(encoder, int(stated["fitted_on"]), versions, tenant)
        except (OSError, ValueError, KeyError, DataError):
            return None

    def serves(self, *, encoder_id: str, settings: StateSettings, users: int) -> bool:
        """Whether the encoder may be kept for this population."""
        same = (self.encoder.encoder_id, self.encoder.half_life_days, self.tenant)
        wanted = (encoder_id, settings.half_life_days, settings.tenant)
        return same == wanted and not settings.refit and users <= GROWTH * self.fitted_on


@dataclass(frozen=True)
class Updated:
    """What became of `user_embeddings`."""

    kept: Kept
    users: int
    """Users of the tenant."""
    computed: int
    """Those whose vector was computed."""
    fitted: bool
    """Whether the encoder was fitted anew; then all are computed."""


def update_states(
    lake: Lake,
    *,
    encoder_id: str,
    settings: StateSettings,
    kept: Kept | None = None,
    mapper: Mapper = map,
) -> Updated:
    """Bring a tenant's `user_embeddings` up to date, in one commit.

    The encoder holds percentiles of the population, so that another fit means other vectors for
    everybody. It is kept from run to run, and fitted anew only where the text encoder or the half
    life is another one, the population is more than twice that of its fit, or `refit` asks for
    it. While it is kept, only users with rows in data files that were not there at the last run
    are computed, exactly as if all were; after `compact` or `erase` files are others, hence more
    users are computed than need be.

    Args:
        lake: Read for the purpose `infer_affect`.
        encoder_id: Text encoder whose turn vectors count.
        settings: How.
        kept: What the last run left; none computes everybody.
        mapper: Runs the parts.

    Raises:
        TooLittleDataError: No turn has a vector.
    """
    versions = {name: lake.version(name) for name in _READ}
    dim = _dim(lake, encoder_id, settings.tenant)
    users = _users(lake, settings.tenant)
    keep = kept and kept.serves(encoder_id=encoder_id, settings=settings, users=users)
    changed = _changed(lake, kept, settings.tenant) if kept and keep else None
    happened = _of(events_of(lake, purpose=PURPOSE, tenant=settings.tenant), changed)
    known = _of(_vectors(lake, encoder_id, settings.tenant), changed)
    rows = known.select(pl.len()).collect(engine="streaming").item()
    with Parts(rows, held=settings.held_turns, scratch=settings.scratch) as parts:
        parts.write("events", lake.batches(happened))
        parts.write("vectors", lake.batches(known))
        encoder = kept.encoder if kept and keep else None
        encoder = encoder or _fitted(parts, encoder_id, dim=dim, settings=settings)
        encode = partial(encode_part, encoder=encoder, tenant=settings.tenant)
        counted = Counted(mapper(encode, parts.items("events", "vectors")))
        others = _others(lake, changed, encoder_id=encoder_id, tenant=settings.tenant)
        if changed is None or not changed.is_empty():
            lake.replace("user_embeddings", chain(others, counted), where=rows_of(settings.tenant))
    versions[_WRITTEN] = lake.version(_WRITTEN)
    fitted_on = kept.fitted_on if kept and keep else users
    now = Kept(encoder, fitted_on, versions, settings.tenant)
    return Updated(now, users, counted.rows, not keep)


def encode_part(
    item: tuple[pl.DataFrame, pl.DataFrame], *, encoder: UserEncoder, tenant: str
) -> pa.Table:
    """Rows of `user_embeddings` of the users of one part: pure, the function both runners apply.

    Args:
        item: The users' events in any order, and their turn vectors: `turn_id, vector`.
        encoder: The population's.
        tenant: Whose users.
    """
    happened, known = in_order(item[0]), item[1].unique("turn_id", keep="first")
    rows, vectors = np.full(happened.height, -1), np.zeros((0, encoder.dim), np.float32)
    if not known.is_empty():
        rows, vectors = aligned(happened, known)
    users = encoder.encode(happened, rows, vectors)
    return pa.table(
        {
            "tenant": pa.repeat(tenant, len(users.user_ids)),
            "user_id": pa.array(users.user_ids, pa.string()),
            "encoder_id": pa.repeat(encoder.encoder_id, len(users.user_ids)),
            "last_event_ts": users.last_event_ts.to_arrow(),
            "vector": lists(users.vectors),
        }
    )


def rows_of(tenant: str) -> str:
    """Predicate of a tenant's rows in a derived table."""
    quoted = tenant.replace("'", "''")
    return f"tenant = '{quoted}'"


def aligned(wanted: pl.DataFrame, known: pl.DataFrame) -> tuple[IntArray, FloatArray]:
    """Row of each wanted `turn_id` in the matrix of known vectors, -1 for none, and the matrix.

    Raises:
        TooLittleDataError: Nothing is known.
    """
    if known.is_empty():
        raise TooLittleDataError("turns with a vector", 0, 1)
    numbered = known.select("turn_id").with_row_index("row")
    joined = wanted.select("turn_id").join(
        numbered, on="turn_id", how="left", maintain_order="left"
    )
    rows = joined["row"].cast(pl.Int64).fill_null(-1).to_numpy()
    return rows, matrix(known["vector"])


def matrix(vectors: pl.Series) -> FloatArray:
    """A column of lists of one length, N >= 1 of them, as [N, D] float32."""
    return vectors.list.to_array(vectors.list.len().item(0)).to_numpy().astype(np.float32)


def lists(vectors: FloatArray) -> pa.ListArray:
    """[N, D] as a column of `list<float32>`."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))


class Counted:
    """Tables as they pass, and their rows."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._tables, self.rows = tables, 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._tables:
            self.rows += table.num_rows
            yield table


def _vectors(lake: Lake, encoder_id: str, tenant: str) -> pl.LazyFrame:
    rows = lake.scan("turn_embeddings")
    mine = rows.filter(pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id)
    return mine.select("user_id", "turn_id", "vector")


def _dim(lake: Lake, encoder_id: str, tenant: str) -> int:
    first = _vectors(lake, encoder_id, tenant).head(1).collect()
    if first.is_empty():
        raise TooLittleDataError("messages of users", 0, 1)
    return int(first["vector"].list.len().item(0))


def _users(lake: Lake, tenant: str) -> int:
    rows = events_of(lake, purpose=PURPOSE, tenant=tenant)
    return int(rows.select(pl.col("user_id").n_unique()).collect(engine="streaming").item())


def _changed(lake: Lake, kept: Kept, tenant: str) -> pl.DataFrame | None:
    """Users with rows in files that the last run had not seen; none where that is not known."""
    if lake.version(_WRITTEN) != kept.versions.get(_WRITTEN):
        return None
    found = [pl.DataFrame(schema={"user_id": pl.String})]
    for table in _READ:
        seen = lake.files(table, version=kept.versions.get(table, -1))
        if seen is None:
            return None
        for batch in lake.keys(table, ("tenant", "user_id"), beyond=seen)[0]:
            mine = batch.filter(pl.col("tenant") == tenant)
            found = [pl.concat([*found, mine.select("user_id")]).unique()]
    return found[0]


def _of(rows: pl.LazyFrame, users: pl.DataFrame | None) -> pl.LazyFrame:
    return rows if users is None else rows.join(users.lazy(), on="user_id", how="semi")


def _others(
    lake: Lake, changed: pl.DataFrame | None, *, encoder_id: str, tenant: str
) -> Iterator[pa.Table]:
    """Rows of users who stay as they are."""
    if changed is None:
        return
    rows = lake.scan("user_embeddings").filter(
        pl.col("tenant") == tenant, pl.col("encoder_id") == encoder_id
    )
    same = rows.join(changed.lazy(), on="user_id", how="anti")
    for batch in lake.batches(same):
        yield batch.to_arrow()


def _fitted(parts: Parts, encoder_id: str, *, dim: int, settings: StateSettings) -> UserEncoder:
    """Fit the percentile cuts on whole parts, hence on users at random."""
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in MEASURES}
    for part in range(parts.count):
        for name, measured in measures(in_order(parts.read("events", part))).items():
            values[name].append(measured)
        if max(sum(map(len, found)) for found in values.values()) >= FITTED_VALUES:
            break
    cuts = cuts_of({name: np.concatenate(found) for name, found in values.items()})
    return UserEncoder(encoder_id, dim, settings.half_life_days, cuts)
