import io

import polars as pl
import pytest

from rapport.errors import ConfigError

CSV = """,timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0
0,2019-11-24 00:00:17.004101+00:00,2,1,0,0.5,ab12,0.25
1,2019-11-24 00:00:18.004101+00:00,0,3,1,0.2,cd34,0.0
"""


def parquet(**columns):
    raw = io.BytesIO()
    pl.DataFrame(columns).write_parquet(raw)
    return raw.getvalue()


def test_rows_of_the_data_set_become_decisions_over_all_its_items(write, bring, rows):
    bring("obd", write("men.csv", CSV))
    first, second = sorted(rows("decisions"), key=lambda row: row["ts"])
    assert [one["candidate_id"] for one in first["candidates"]] == ["0", "1", "2"]
    assert [one["probability"] for one in first["candidates"]] == [0.25, 0.25, 0.5]
    assert (first["action_index"], second["action_index"]) == (2, 0)
    assert dict(first["features"]) == {
        "position": 1.0,
        "rest_filled": 1.0,
        "user-item_affinity_0": 0.25,
        "user_feature_0=ab12": 1.0,
    }
    assert sorted(row["value"] for row in rows("feedback")) == [0.0, 1.0]
    assert first["user_id"] != second["user_id"]


def test_columns_of_bandit_feedback_keep_every_probability(write, bring, rows):
    file = write(
        "log.parquet",
        parquet(
            action=[1, 0], reward=[1.0, 0.0], pscore=[0.7, 0.3], pi_b=[[0.3, 0.7], [0.3, 0.7]],
            context=[[1.5, None], [0.0, 2.0]], position=[0, 0],
        ),
    )  # fmt: skip
    bring("obd", file)
    first, second = sorted(rows("decisions"), key=lambda row: -row["action_index"])
    assert [one["probability"] for one in first["candidates"]] == [0.3, 0.7]
    assert dict(first["features"]) == {"0": 1.5, "position": 0.0}
    assert dict(second["features"]) == {"0": 0.0, "1": 2.0, "position": 0.0}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("x,2019-11-24,2,1,0,,a,0", "pscore"),
        ("x,2019-11-24,-1,1,0,0.5,a,0", "action"),
        ("x,2019-11-24,,1,0,0.5,a,0", "action"),
        ("x,2019-11-24,1,1,0,1.5,a,0", "candidates.probability"),
        ("x,soon,1,1,0,0.5,a,0", "timestamp"),
    ],
)
def test_a_row_with_a_fault_is_refused_alone(write, bring, rows, line, field):
    counts = bring("obd", write("log.csv", f"{CSV}{line}\n"))
    assert [row["field"] for row in rows("quarantine")] == [field]
    assert counts["tables"]["decisions"]["kept"] == 2


def test_equal_chances_do_not_make_different_actions_one(write, bring, rows):
    columns = {"reward": [0.0, 0.0], "pscore": [0.5, 0.5], "pi_b": [[0.5, 0.5]] * 2}
    file = write("log.parquet", parquet(action=[0, 1], **columns))
    first, again = bring("obd", file), bring("obd", file)
    assert [counts["tables"]["decisions"]["kept"] for counts in (first, again)] == [2, 0]
    assert len(rows("decisions")) == 2


def test_a_file_without_the_columns_is_named(write, bring):
    with pytest.raises(ConfigError, match="action or item_id"):
        bring("obd", write("log.csv", "a,b\n1,2\n"))
