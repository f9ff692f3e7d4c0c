"""What is exported and ingested again is the same log: every probability and reward to the bit."""

import datetime as dt
import json
import math
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.exports.dsjson import write_dsjson
from rapport.exports.open_bandit import write_open_bandit
from rapport.exports.rllib import write_rllib
from rapport.exports.rows import Decisions
from rapport.governance.tenants import EMBEDDED
from rapport.ingest import ingest
from rapport.lake import Lake
from rapport.schema import to_table
from rapport.testing import a_decision
from rapport.testing.rows import ALL, START

ARMS = [arm.name for arm in load_menu("emotional_support").served]
KEPT = (
    "mode", "delivered", "policy_id", "policy_version", "agent_id", "explored", "propensity", "ts",
    "action_index", "turn_index",
)  # fmt: skip
reals = st.floats(-1e9, 1e9)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
names = texts | st.sampled_from(["_tag", "%x", "arm", "context:sky=grey", "a.b", "position"])
features = st.none() | st.dictionaries(names, reals, min_size=1, max_size=4)


@st.composite
def decisions(draw, number):
    """A decision among arms or among somebody's actions, and its reward."""
    count = draw(st.integers(1, 6))
    weights = draw(st.lists(st.floats(1e-6, 1), min_size=count, max_size=count))
    shares = [weight / sum(weights) for weight in weights]
    armed = draw(st.booleans())
    arms: Any = draw(st.permutations(ARMS))[:count] if armed else [None] * count
    taken = draw(st.integers(0, count - 1))
    row = a_decision(
        arms=arms,
        probabilities=shares,
        action_index=taken,
        decision_id=f"d{number}",
        episode_id=f"talk{number % 3}",
        turn_index=2 * number + 1,
        ts=START + dt.timedelta(microseconds=draw(st.integers(0, 10**13))),
        mode="arm_first" if armed else "rank",
        features=draw(features),
        policy_id=draw(st.none() | st.just("p-1")),
        policy_version=draw(st.none() | st.just("v-1")),
        explored=draw(st.booleans()),
        groups={"age_band": "adult"},
    )
    for place, one in enumerate(row["candidates"]):
        one |= {"candidate_id": f"action-{place}", "features": draw(features)}
    return row, draw(st.none() | st.floats(-1, 1))


logs = st.integers(1, 12).flatmap(lambda n: st.tuples(*[decisions(i) for i in range(n)]))


def a_lake(folder, log):
    lake = Lake(folder)
    lake.append("decisions", to_table("decisions", [row for row, _ in log]), writer="test")
    rewards = [
        {
            **{name: row[name] for name in ("tenant", "ts", "ts_source", "user_id", "agent_id")},
            "purposes": ALL, "groups": {}, "source": "test", "decision_id": row["decision_id"],
            "reward_version": 1, "value": value, "channels": {"reward": value}, "as_of": START,
        }
        for row, value in log if value is not None
    ]  # fmt: skip
    if rewards:
        lake.append("rewards", rewards, writer="test")
    return lake


def back(folder, format_, file):
    """The rows of a fresh lake that ingested a file; decisions with what came back for them."""
    lake = Lake(folder)
    counts = ingest(format_, [file], lake=lake, secret=b"s" * 32, policy=EMBEDDED)
    assert counts.quarantine.read == 0, counts
    fed = lake.scan("feedback", purpose="train").collect()
    given = dict(fed.select("decision_id", "value").iter_rows())
    found = lake.scan("decisions", purpose="train").collect().to_arrow()
    rows = found.to_pylist(maps_as_pydicts="lossy")
    return [(row, given.get(row["decision_id"])) for row in rows]


def whole(row, reward):
    """All that dsjson carries of a decision."""
    candidates = [
        (one["candidate_id"], one["arm"], one["probability"], one["features"] or {})
        for one in row["candidates"]
    ]
    kept = (
        "mode",
        "delivered",
        "policy_id",
        "policy_version",
        "agent_id",
        "explored",
        "propensity",
    )
    told = [row[name] for name in (*kept, "ts", "action_index", "turn_index")]
    return *told, row["features"] or {}, candidates, reward


def bare(row, reward):
    """All that the Open Bandit columns carry."""
    shares = {one["arm"] or one["candidate_id"]: one["probability"] for one in row["candidates"]}
    taken = row["candidates"][row["action_index"]]
    name = taken["arm"] or taken["candidate_id"]
    return row["ts"], shares, name, row["propensity"], row["features"] or {}, reward


def told(of, log):
    """What a format carries of each decision of a log, in an order of its own."""
    return sorted((of(*one) for one in log), key=repr)


few = settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@few
@given(log=logs)
def test_dsjson_comes_back_as_it_was(tmp_path_factory, log):
    folder = tmp_path_factory.mktemp("dsjson")
    counts = write_dsjson(Decisions(a_lake(folder / "a", log)), folder / "log.dsjson")
    assert counts["decisions"] == len(log)
    found = back(folder / "b", "vw-dsjson", folder / "log.dsjson")
    assert told(whole, found) == told(whole, log)


@few
@given(log=logs)
def test_open_bandit_columns_come_back_as_they_were(tmp_path_factory, log):
    folder = tmp_path_factory.mktemp("obd")
    log = [one for one in log if one[1] is not None and one[0]["mode"] == log[0][0]["mode"]]
    write_open_bandit(Decisions(a_lake(folder / "a", log)), folder / "log.parquet")
    found = back(folder / "b", "obd", folder / "log.parquet")
    assert told(bare, found) == told(bare, log)


@few
@given(log=logs)
def test_rllib_columns_hold_every_choice_chance_and_reward(tmp_path_factory, log):
    file = tmp_path_factory.mktemp("rllib") / "log.parquet"
    log = [one for one in log if one[1] is not None and one[0]["mode"] == log[0][0]["mode"]]
    counts = write_rllib(Decisions(a_lake(file.parent / "lake", log)), file)
    table = pq.read_table(file)
    names = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items()}
    found = [
        (r["eps_id"], r["t"], names["action_names"][r["actions"]], r["action_logp"], r["rewards"])
        for r in table.to_pylist()
    ]
    talks: dict[str, list[Any]] = {}
    for row, reward in sorted(log, key=lambda one: one[0]["turn_index"]):
        taken = row["candidates"][row["action_index"]]
        choice = taken["arm"] or taken["candidate_id"], math.log(row["propensity"]), reward
        talks.setdefault(row["episode_id"], []).append(choice)
    stated = [(talk, t, *one) for talk, held in talks.items() for t, one in enumerate(held)]
    assert counts["decisions"] == len(log)
    assert sorted(found) == sorted(stated)


def test_what_is_not_to_be_learned_from_stays_out_and_is_counted(tmp_path):
    log = [
        (a_decision(decision_id="a", turn_index=1), 0.5),
        (a_decision(decision_id="b", turn_index=3, delivered="guard_replaced"), 0.5),
        (a_decision(decision_id="c", turn_index=5, propensity_source="estimated"), 0.5),
        (a_decision(decision_id="d", turn_index=7, purposes=("serve", "analytics")), 0.5),
        (a_decision(decision_id="e", turn_index=9), None),
    ]
    lake = a_lake(tmp_path / "lake", log)
    counts = write_dsjson(Decisions(lake), tmp_path / "log.dsjson")
    left_out = {"guard_replaced": 1, "propensity estimated": 1}
    assert counts == {"decisions": 2, "silent": 1, "left_out": left_out}
    counts = write_open_bandit(Decisions(lake), tmp_path / "log.parquet")
    assert counts["left_out"] == {**left_out, "nothing came back": 1}
    assert "weighing" not in (tmp_path / "log.dsjson").read_text()


def test_an_arm_with_two_candidates_has_their_chance_together(tmp_path):
    row = a_decision(arms=["question", "question", "clarify"], probabilities=[0.5, 0.25, 0.25])
    write_open_bandit(Decisions(a_lake(tmp_path / "lake", [(row, 1.0)])), tmp_path / "log.parquet")
    (found,) = pl.read_parquet(tmp_path / "log.parquet").to_dicts()
    assert (found["action"], found["pscore"], found["pi_b"]) == (1, 0.75, [0.25, 0.75])
