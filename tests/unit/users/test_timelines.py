import datetime as dt

import polars as pl
import pytest

from rapport.errors import ConfigError
from rapport.lake import Lake
from rapport.testing import a_turn, some_feedback
from rapport.users.timelines import events, messages
from tests.unit.users.timelines import START, a_lake


def test_messages_are_the_users_texts_by_user_and_time(tmp_path):
    wrote = messages(a_lake(tmp_path, users=2, turns=3), purpose="infer_affect")
    assert wrote.height == 6
    assert wrote["turn_index"].to_list() == [0, 2, 4] * 2
    assert wrote["user_id"].is_sorted()


def test_a_turn_in_crisis_or_without_text_is_never_a_message(tmp_path):
    lake = Lake(tmp_path)
    rows = [
        a_turn(turn_index=0),
        a_turn(turn_index=2, facet="crisis"),
        a_turn(turn_index=4, text=None),
        a_turn(turn_index=6, kind="click", text=None),
    ]
    lake.append("turns", rows, writer="test")
    assert messages(lake, purpose="train")["turn_index"].to_list() == [0]
    happened = events(lake, purpose="train")
    assert happened["kind"].to_list() == ["message", "message", "message", "click"]
    assert happened["turn_id"].is_null().to_list() == [False, True, True, True]


def test_rows_that_do_not_allow_the_purpose_are_not_read(tmp_path):
    lake = a_lake(tmp_path, without=["train"])
    assert messages(lake, purpose="train").is_empty()
    assert events(lake, purpose="train").filter(pl.col("kind") == "message").is_empty()
    assert messages(lake, purpose="infer_affect").height == 12
    with pytest.raises(ConfigError, match="marketing"):
        messages(lake, purpose="marketing")


def test_another_tenants_users_are_not_read(tmp_path):
    lake = a_lake(tmp_path)
    assert messages(lake, purpose="train", tenant="elsewhere").is_empty()
    assert events(lake, purpose="train", tenant="elsewhere").is_empty()


def test_ratings_and_reading_times_take_their_place_in_time(tmp_path):
    lake = Lake(tmp_path)
    lake.append(
        "turns", [a_turn(turn_index=0, ts=START), a_turn(turn_index=2, ts=START + dt.timedelta(1))],
        writer="test",
    )  # fmt: skip
    told = [
        some_feedback(feedback_id="1", ts=START + dt.timedelta(hours=2), value=4.0),
        some_feedback(
            feedback_id="2", ts=START + dt.timedelta(hours=1), metric_name="dwell", value=9.5
        ),
        some_feedback(feedback_id="3", ts=START, metric_name="empathy", value=5.0),
    ]
    lake.append("feedback", told, writer="test")
    happened = events(lake, purpose="infer_affect")
    assert happened["kind"].to_list() == ["message", "dwell", "rating", "message"]
    assert happened["value"].to_list() == [None, 9.5, 4.0, None]


def test_an_empty_lake_has_empty_timelines(tmp_path):
    lake = Lake(tmp_path)
    assert messages(lake, purpose="train").is_empty()
    assert events(lake, purpose="train").is_empty()
