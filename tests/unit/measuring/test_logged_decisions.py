import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from rapport.cli import app
from rapport.errors import ConfigError, DataError
from rapport.evaluation.estimators import Crossing
from rapport.measuring.logged_decisions import measure_policy, read_decisions

ARMS = np.array(["ask", "calm", "praise"])
RATES = np.array([0.2, 0.5, 0.8])
ROWS = 3000


def decisions(folder, *, rows=ROWS, silent=0.0, seed=0):
    """Three arms in a shuffled order each row, dealt by a tilted policy; the truth is RATES."""
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(3), (rows, 1)), axis=1)
    chance = rng.dirichlet(np.full(3, 6.0), size=rows)
    taken = (chance.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    won = rng.random(rows) < RATES[order[np.arange(rows), taken]]
    reward = [None if rng.random() < silent else float(each) for each in won]
    frame = pl.DataFrame(
        {
            "decision_id": [f"d{i}" for i in range(rows)],
            "user_id": [f"u{i % (rows // 5)}" for i in range(rows)],
            "candidate_arms": ARMS[order].tolist(),
            "candidate_probabilities": chance.tolist(),
            "action_index": taken,
            "reward": reward,
            "persona_id": np.where(np.arange(rows) % (rows // 5) < 20, "wry-01", "mild-02"),
        }
    )
    frame.write_parquet(folder / "decisions.parquet")
    return frame


def praising(folder, frame):
    """A policy by decision that takes praise with .8, wherever it stands among the candidates."""
    own = [[0.8 if arm == "praise" else 0.1 for arm in arms] for arms in frame["candidate_arms"]]
    stated = pl.DataFrame({"decision_id": frame["decision_id"], "candidate_probabilities": own})
    stated.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "policy.parquet")
    return folder / "policy.parquet"


def by_arm(folder):
    stated = pl.DataFrame({"arm": ARMS, "probability": [0.1, 0.1, 0.8]})
    stated.write_csv(folder / "policy.csv")
    return folder / "policy.csv"


def test_every_estimate_holds_the_truth_overall_and_by_group(tmp_path):
    policy = praising(tmp_path, decisions(tmp_path))
    result = measure_policy(tmp_path / "decisions.parquet", policy)
    truth = RATES @ [0.1, 0.1, 0.8]
    assert (result.rows, result.skipped, result.n) == (ROWS, 0, ROWS)
    for name in ("overall", "persona_id/mild-02"):
        group = result.groups[name]
        assert group.refused is None
        for estimator in ("ips", "snips", "dr", "sndr", "snips_minus_on_policy"):
            found = group.metrics[estimator]
            known = truth - group.metrics["on_policy"].estimate
            value = known if estimator == "snips_minus_on_policy" else truth
            assert found.low is not None
            assert found.high is not None
            assert abs(found.estimate - value) < found.high - found.low
    thin = result.groups["persona_id/wry-01"]
    assert thin.refused is not None
    assert thin.metrics["dr"].low is None
    assert any("wry-01: effective sample" in note for note in result.notes)


def test_a_policy_that_is_the_same_everywhere_means_the_same_by_arm(tmp_path):
    policy = praising(tmp_path, decisions(tmp_path, rows=500))
    both = [
        read_decisions(tmp_path / "decisions.parquet", each) for each in (policy, by_arm(tmp_path))
    ]
    assert both[0].target == pytest.approx(both[1].target)
    weight = Crossing(both[0].log, both[0].target).weight
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(500))


def test_missing_feedback_is_read_in_every_way(tmp_path):
    decisions(tmp_path, silent=0.2)
    result = measure_policy(tmp_path / "decisions.parquet", by_arm(tmp_path))
    found = result.groups["overall"].metrics
    assert found["dr_at_worst"].estimate < found["dr_weighted"].estimate
    assert found["dr_weighted"].estimate < found["dr_at_best"].estimate


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    frame = decisions(tmp_path, rows=500)
    spoilt = frame.with_columns(
        action_index=pl.when(pl.row_index() < 3).then(7).otherwise("action_index")
    )
    spoilt.write_parquet(tmp_path / "decisions.parquet")
    found = read_decisions(tmp_path / "decisions.parquet", by_arm(tmp_path))
    assert (found.read, len(found.log)) == (500, 497)


def test_a_policy_that_does_not_fit_is_refused(tmp_path):
    frame = decisions(tmp_path, rows=500)
    data, policy = tmp_path / "decisions.parquet", praising(tmp_path, frame)
    stated = pl.read_parquet(policy)
    for spoilt, message in (
        (stated.head(400), "each decision once"),
        (pl.concat([stated, stated.head(1)]), "each decision once"),
        (stated.with_columns(candidate_probabilities=[0.5, 0.5]), "differ in candidates"),
        (stated.with_columns(candidate_probabilities=[0.5, 0.5, 0.5]), "do not sum to 1"),
        (stated.rename({"decision_id": "id"}), "states no policy"),
    ):
        spoilt.write_parquet(policy)
        with pytest.raises(DataError, match=message):
            measure_policy(data, policy)
    frame.drop("reward").write_parquet(data)
    with pytest.raises(DataError, match="lacks the column reward"):
        measure_policy(data, policy)
    with pytest.raises(ConfigError, match="--data"):
        measure_policy(tmp_path / "none.parquet", policy)


def test_the_command_prints_the_object_and_asks_for_the_policy(tmp_path):
    policy = praising(tmp_path, decisions(tmp_path))
    data = str(tmp_path / "decisions.parquet")
    ran = CliRunner().invoke(
        app, ["evaluate", "ope", "--data", data, "--policy", str(policy), "--json"]
    )
    assert ran.exit_code == 0
    told = json.loads(ran.stdout)
    assert told["task"] == "ope"
    assert told["groups"]["overall"]["dr"]["n"] == ROWS
    assert CliRunner().invoke(app, ["evaluate", "ope", "--data", data]).exit_code == 2
