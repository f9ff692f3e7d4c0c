"""Decisions in the columns that RLlib reads offline, as one Parquet file, a transition a row.

`eps_id` (the conversation), `t`, `obs` and `new_obs` [d] float32 (0 where a feature is not known;
after the last decision `new_obs` repeats `obs`), `actions` from 0 on, `rewards`, `action_logp`,
`terminateds` (true at the last decision of a conversation) and `truncateds` (false). In the file's
metadata `action_names` and `obs_names` as JSON. Rows of a conversation lie together, in order.

Only decisions that something came back for: RLlib knows no silence.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rapport.exports.open_bandit import SILENT
from rapport.exports.rows import Decisions
from rapport.exports.vectors import names_of


def write_rllib(decisions: Decisions, file: Path) -> dict[str, Any]:
    """Write a tenant's decisions; memory holds an observation of each.

    Returns:
        `decisions` written, `actions` and `features` there are, and what was `left_out`, by reason.
    """
    names = names_of(decisions)
    place = {name: index for index, name in enumerate(names.actions)}
    rows: list[tuple[str, int, int, float, float]] = []
    seen: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    silent = 0
    for one in decisions:
        if one.reward is None:
            silent += 1
            continue
        told = [one.features.get(name, 0.0) for name in names.features]
        seen.append(np.array(told, dtype=np.float32))
        chance = math.log(one.shares()[one.taken])
        where = (str(one.row["episode_id"]), int(one.row["turn_index"]))
        rows.append((*where, place[one.taken], one.reward, chance))
    order = sorted(range(len(rows)), key=lambda i: rows[i][:2])
    table = _table([rows[i] for i in order], [seen[i] for i in order])
    told_names = {"action_names": names.actions, "obs_names": names.features}
    metadata = {key: json.dumps(value) for key, value in told_names.items()}
    pq.write_table(table.replace_schema_metadata(metadata), file)
    left_out = Counter(decisions.left_out) + Counter({SILENT: silent})
    return {
        "decisions": len(rows),
        "actions": len(names.actions),
        "features": len(names.features),
        "left_out": dict(left_out),
    }


def _table(
    rows: list[tuple[str, int, int, float, float]],
    seen: list[np.ndarray[Any, np.dtype[np.float32]]],
) -> pa.Table:
    ends = [i + 1 == len(rows) or rows[i + 1][0] != row[0] for i, row in enumerate(rows)]
    steps: list[int] = []
    for i in range(len(rows)):
        steps.append(0 if i == 0 or ends[i - 1] else steps[-1] + 1)
    following = [seen[i] if ends[i] else seen[i + 1] for i in range(len(rows))]
    vectors = pa.list_(pa.float32())
    columns = {
        "eps_id": pa.array([row[0] for row in rows], pa.string()),
        "t": pa.array(steps, pa.int32()),
        "obs": pa.array(seen, vectors),
        "new_obs": pa.array(following, vectors),
        "actions": pa.array([row[2] for row in rows], pa.int64()),
        "rewards": pa.array([row[3] for row in rows], pa.float64()),
        "action_logp": pa.array([row[4] for row in rows], pa.float64()),
        "terminateds": pa.array(ends, pa.bool_()),
        "truncateds": pa.array([False] * len(rows), pa.bool_()),
    }
    return pa.table(columns)
