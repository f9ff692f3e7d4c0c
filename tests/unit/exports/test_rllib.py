import json
import math

import numpy as np
import pyarrow.parquet as pq

from rapport.exports.rllib import write_rllib
from rapport.exports.rows import Decisions
from rapport.testing import a_decision
from tests.unit.exports.test_round_trip import a_lake


def test_a_conversation_is_an_episode_in_order_with_float32_observations(tmp_path):
    log = [
        (a_decision(episode_id="t", turn_index=3, features={"x": 2.0}, action_index=1), 1.0),
        (a_decision(episode_id="t", turn_index=1, features={"y": 0.1}), -0.5),
        (a_decision(episode_id="u", turn_index=1, probabilities=[0.25, 0.75]), 0.0),
    ]
    counts = write_rllib(Decisions(a_lake(tmp_path / "lake", log)), tmp_path / "log.parquet")
    table = pq.read_table(tmp_path / "log.parquet")
    names = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items()}
    assert names == {"action_names": ["question", "reflection"], "obs_names": ["x", "y"]}
    rows = table.to_pylist()
    assert counts == {"decisions": 3, "actions": 2, "features": 2, "left_out": {}}
    assert [(r["eps_id"], r["t"], r["terminateds"]) for r in rows] == [
        ("t", 0, False), ("t", 1, True), ("u", 0, True),
    ]  # fmt: skip
    assert [r["obs"] for r in rows] == [[0.0, float(np.float32(0.1))], [2.0, 0.0], [0.0, 0.0]]
    assert rows[0]["new_obs"] == rows[1]["obs"] == rows[1]["new_obs"]
    assert [r["actions"] for r in rows] == [0, 1, 0]
    assert [r["rewards"] for r in rows] == [-0.5, 1.0, 0.0]
    assert [r["action_logp"] for r in rows] == [math.log(0.5), math.log(0.5), math.log(0.25)]
