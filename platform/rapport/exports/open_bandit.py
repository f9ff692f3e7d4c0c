"""Decisions in the columns of Open Bandit's `bandit_feedback`, as one Parquet file.

`context` [d] (NaN where a feature is not known), `action` from 0 on, `reward`, `pscore`, `position`
(the feature of that name once more, null where it is no whole number) and `pi_b` [A], the
probability of every action, 0 where it was not offered. Beside them `timestamp`, and in the file's
metadata `action_names` and `context_names` as JSON: what the numbers stand for. Doubles keep every
bit.

Only decisions that something came back for: the format knows no silence.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rapport.exports.rows import Decisions, Logged
from rapport.exports.vectors import Names, names_of

SILENT = "nothing came back"
POSITION = "position"
_ROWS = 5_000
_REALS = pa.list_(pa.float64())
_FIELDS = (
    ("timestamp", pa.timestamp("us", tz="UTC")),
    ("context", _REALS),
    ("action", pa.int32()),
    ("reward", pa.float64()),
    ("pscore", pa.float64()),
    ("position", pa.int32()),
    ("pi_b", _REALS),
)


def write_open_bandit(decisions: Decisions, file: Path) -> dict[str, Any]:
    """Write a tenant's decisions.

    Returns:
        `decisions` written, `actions` and `features` there are, and what was `left_out`, by reason.
    """
    names = names_of(decisions)
    told = {"action_names": names.actions, "context_names": names.features}
    schema = pa.schema(_FIELDS, metadata={key: json.dumps(value) for key, value in told.items()})
    rows: list[dict[str, Any]] = []
    written, silent = 0, 0
    with pq.ParquetWriter(file, schema) as writer:
        for one in decisions:
            if one.reward is None:
                silent += 1
                continue
            rows.append(_row(one, names))
            written += 1
            if len(rows) == _ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    left_out = Counter(decisions.left_out) + Counter({SILENT: silent})
    return {
        "decisions": written,
        "actions": len(names.actions),
        "features": len(names.features),
        "left_out": dict(left_out),
    }


def _row(one: Logged, names: Names) -> dict[str, Any]:
    shares = one.shares()
    place = one.features.get(POSITION, math.nan)
    return {
        "timestamp": one.row["ts"],
        "context": [one.features.get(name, math.nan) for name in names.features],
        "action": names.actions.index(one.taken),
        "reward": one.reward,
        "pscore": shares[one.taken],
        "position": int(place) if place.is_integer() and 0 <= place < 2**31 else None,
        "pi_b": [shares.get(name, 0.0) for name in names.actions],
    }
