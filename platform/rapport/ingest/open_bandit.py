"""Format `obd`: decisions as the Open Bandit data and its pipeline hold them, a row a shown action.

Two kinds of files, `.csv` and `.parquet` (`.gz` and `.zst` too):

- as the data set has it: `item_id`, `click`, `propensity_score`, `position`, `timestamp`, and the
  context in `user_feature_*` and `user-item_affinity_*`, numbers or words;
- in the columns of `bandit_feedback`: `action`, `reward`, `pscore`, `position`, `timestamp`,
  `context` (a list) and `pi_b`, a list of every action's probability. What `rapport log export obd`
  wrote comes back with its names.

Actions are numbered from 0; without `pi_b` all up to the largest of a file could have been shown,
those not taken share the rest evenly, and the row says so in its features (`rest_filled`); so keep
the files of one log whole. The reward must be within -1 and 1. Nothing tells users apart: every row
is a user of its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rapport.arms import arm_names
from rapport.errors import ConfigError, RowError
from rapport.ingest.batch import Batch, Intake
from rapport.ingest.decision_batch import Logged, decision_batches
from rapport.ingest.fields import MISSING, Record, real, whole
from rapport.ingest.mapping import AS_NAMED
from rapport.ingest.sources import PACKED, Source, seekable, sources
from rapport.ingest.tables import Columns, Row, csv_rows, parquet_rows
from rapport.policy.foreign_features import told

SOURCE = "obd"
_CSV, _PARQUET = (".csv",), (".parquet", ".pq")
_THEIRS = {"action": "item_id", "reward": "click", "pscore": "propensity_score"}
"""Names of `bandit_feedback` to those of the data set."""
_CONTEXT = ("user_feature_", "user-item_affinity_")
_COLUMNS = Columns(
    (*_THEIRS, *_THEIRS.values(), "position", "timestamp", "context", "pi_b", *_CONTEXT),
    tuple(_THEIRS.items()),
)


@dataclass(frozen=True)
class _File:
    """A file, and what its numbers stand for."""

    source: Source
    actions: tuple[str, ...] = ()
    """None where they have no names."""
    features: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Every row, as it stands."""
        read = parquet_rows if _is_parquet(self.source) else csv_rows
        return read(self.source, _COLUMNS, AS_NAMED)


def read_open_bandit(places: Sequence[str], intake: Intake) -> Iterator[Batch]:
    """Read decisions batch by batch; a file without `pi_b` is read twice.

    Raises:
        ConfigError: A place that nothing can be read from, or a column is missing.
    """
    return decision_batches(_records(places), intake, source=SOURCE)


def _records(places: Sequence[str]) -> Iterator[Logged]:
    for source in sources(places, endings=(*_CSV, *_PARQUET)):
        file = _named(source)
        count = len(file.actions) or _largest(file) + 1
        for row in file.rows():
            position = f"{source.name} {row.position}"
            try:
                record = _record(row.record(AS_NAMED), file, count)
            except RowError as error:
                yield Logged(position, error, row.kept(AS_NAMED))
            else:
                yield Logged(position, record, row.kept(AS_NAMED))


def _named(source: Source) -> _File:
    """A file with the names that its metadata gives, where it has some."""
    if not _is_parquet(source):
        return _File(source)
    with seekable(source) as plain:
        try:
            metadata = pq.read_schema(plain).metadata or {}
        except (pa.ArrowException, OSError) as error:
            remedy = f"it is no readable parquet file ({type(error).__name__})"
            raise ConfigError("path", source.path, remedy) from error
    names = [tuple(_strings(metadata.get(key))) for key in (b"action_names", b"context_names")]
    return _File(source, *names)


def _is_parquet(source: Source) -> bool:
    """Whether a file is no CSV, by its name without what says that it is packed."""
    name = source.name.lower()
    return any(name.removesuffix(packed).endswith(_PARQUET) for packed in PACKED)


def _strings(raw: bytes | None) -> list[str]:
    try:
        found = json.loads(raw or b"[]")
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _largest(file: _File) -> int:
    """The largest action that any readable row shows."""
    largest = -1
    for row in file.rows():
        try:
            largest = max(largest, _action(_ours(row.values)))
        except RowError:
            continue
    return largest


def _record(row: Mapping[str, Any], file: _File, count: int) -> Record:
    values = _ours(row)
    taken, pscore = _action(values), real(values, "pscore")
    if taken >= count:
        raise RowError("action", "has no name in this file")
    if pscore is None:
        raise RowError("pscore", MISSING)
    shares = _shares(values.get("pi_b"), count)
    filled = not shares
    if filled:
        shares = [(1.0 - pscore) / max(count - 1, 1)] * count
        shares[taken] = pscore
    if abs(shares[taken] - pscore) > 1e-6:
        raise RowError("pscore", "is not the taken action's in pi_b")
    offered = [place for place in range(count) if shares[place] > 0 or place == taken]
    names = file.actions or tuple(str(place) for place in range(count))
    armed = all(name in arm_names() for name in names)
    features = _features(values, file.features) | ({"rest_filled": 1.0} if filled else {})
    return {
        "timestamp": values.get("timestamp"),
        "mode": "arm_first" if armed else "rank",
        "features": features,
        "candidates": [
            {
                "arm": names[place] if armed else None,
                "candidate_id": None if armed else names[place],
                "probability": shares[place],
            }
            for place in offered
        ],
        "action_index": offered.index(taken),
        "reward": values.get("reward"),
    }


def _ours(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row under the names of `bandit_feedback`."""
    named = {theirs: ours for ours, theirs in _THEIRS.items()}
    return {named.get(name, name): value for name, value in row.items()}


def _action(values: Mapping[str, Any]) -> int:
    action = whole(values, "action")
    if action is None:
        raise RowError("action", MISSING)
    return action


def _shares(given: object, count: int) -> list[float]:
    """Every action's probability; none where the log does not hold them."""
    if given is None:
        return []
    if not isinstance(given, list) or len(given) != count:
        raise RowError("pi_b", f"does not hold {count} numbers")
    return [real({"pi_b": one}, "pi_b") or 0.0 for one in given]


def _features(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    listed = values.get("context") or []
    if not isinstance(listed, list):
        raise RowError("context", "is not a list of numbers")
    keys = names if len(names) == len(listed) else [str(place) for place in range(len(listed))]
    known = {
        key: real({"context": one}, "context") or 0.0
        for key, one in zip(keys, listed, strict=True)
        if one is not None and one == one  # noqa: PLR0124  (not a number: not known)
    }
    cells = {name: _plain(cell) for name, cell in values.items() if name.startswith(_CONTEXT)}
    place = real(values, "position")
    position = {} if place is None or "position" in names else {"position": place}
    return {**known, **told([cells], where="context").features, **position}


def _plain(value: object) -> object:
    """A cell as a number where it is one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
