import json
from pathlib import Path

import polars as pl
import pytest

from rapport.errors import DataError
from rapport.schema import schema_of, to_table
from rapport.simulation import (
    SimulatedLog,
    SimulatedUser,
    SimulationConfig,
    generate,
    read,
    simulate,
    write,
    write_generated,
)
from rapport.simulation.logs import TABLES, TRUTHS

LOG = simulate(80, 10, seed=3)


def same(one: SimulatedLog, other: SimulatedLog) -> bool:
    return all(getattr(one, name).equals(getattr(other, name)) for name in (*TABLES, *TRUTHS))


def test_the_same_seed_gives_the_same_log_and_another_seed_another():
    assert same(LOG, simulate(80, 10, seed=3))
    assert not LOG.turns["text"].equals(simulate(80, 10, seed=4).turns["text"])


def test_a_log_comes_back_from_its_folder_as_it_was(tmp_path: Path):
    write(LOG, tmp_path)
    assert same(LOG, read(tmp_path))
    assert read(tmp_path).config == LOG.config
    assert sorted(file.name for file in (tmp_path / "truth").iterdir()) == [
        "decisions.parquet",
        "turns.parquet",
        "users.parquet",
    ]


def test_a_large_log_is_made_in_parts_of_one_world_whose_users_are_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("rapport.simulation.settings.PART_USERS", 30)
    monkeypatch.setattr("rapport.simulation.live.PART_USERS", 30)
    config = SimulationConfig(users=80, turns=3, seed=3)
    log = generate(config)
    assert log.users["user_id"].n_unique() == log.truth.height == 80
    assert log.turns["turn_id"].n_unique() == log.turns.height
    assert set(log.users["user_id"]).isdisjoint(simulate(30, 3, seed=3).users["user_id"])
    rows = write_generated(config, tmp_path)
    assert same(log, read(tmp_path))
    assert rows == json.loads((tmp_path / "log.json").read_text())["rows"]
    assert rows["turns"] == log.turns.height
    late = SimulatedUser.of_log(log, 70)
    assert (late.user_id, late.persona) == log.truth.select("user_id", "persona").row(70)


def test_the_folder_states_seed_settings_and_logging_policy(tmp_path: Path):
    write(LOG, tmp_path)
    stated = json.loads((tmp_path / "log.json").read_text())
    assert stated["settings"]["seed"] == 3
    assert stated["schema_version"] == 1
    assert stated["rows"]["decisions"] == 800
    assert "softmax" in stated["logging_policy"]["formula"]


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_of_schema_version_1(table):
    frame = getattr(LOG, table)
    assert frame.columns == schema_of(table).names
    assert to_table(table, frame.head(50).to_dicts()).num_rows == 50
    required = [field.name for field in schema_of(table) if not field.nullable]
    assert frame.select(pl.col(required).null_count().max()).row(0) == (0,) * len(required)


def test_every_user_writes_the_stated_number_of_messages_and_each_is_answered():
    messages = LOG.turns.filter(pl.col("kind") == "message").group_by("user_id", "role").len()
    assert messages.height == 2 * 80
    assert messages["len"].unique().to_list() == [10]
    assert LOG.decisions.height == 800


def test_turn_indexes_count_the_turns_of_a_conversation_in_time_order():
    ordered = LOG.turns.sort("conversation_id", "ts").with_columns(
        place=pl.int_range(pl.len()).over("conversation_id")
    )
    assert ordered["turn_index"].cast(pl.Int64).equals(ordered["place"], check_names=False)
    assert LOG.turns["turn_id"].n_unique() == LOG.turns.height


def test_clicks_and_task_steps_carry_no_text():
    silent = LOG.turns.filter(pl.col("kind") != "message")
    assert set(silent["kind"]) == {"click", "task_step"}
    assert silent["text"].null_count() == silent.height
    assert set(silent["role"]) == {"user"}


def test_a_decision_holds_its_reply_and_the_propensity_of_the_arm_taken():
    told = LOG.turns.filter(role="assistant").select("conversation_id", "turn_index", "text", "arm")
    joined = LOG.decisions.join(
        told, left_on=["episode_id", "turn_index"], right_on=["conversation_id", "turn_index"]
    )
    assert joined.height == LOG.decisions.height
    for row in joined.iter_rows(named=True):
        taken = row["candidates"][row["action_index"]]
        assert taken["probability"] == row["propensity"]
        assert (taken["text"], taken["arm"]) == (row["text"], row["arm"])
        assert sum(candidate["probability"] for candidate in row["candidates"]) == pytest.approx(1)
        assert sum(candidate["text"] is not None for candidate in row["candidates"]) == 1


def test_control_rows_hold_one_candidate_without_an_arm():
    control = LOG.decisions.filter(mode="control")
    assert 0 < control["user_id"].n_unique() < 12
    assert set(control["delivered"]) == {"control"}
    assert set(control["candidates"].list.len()) == {1}
    assert set(control["propensity"]) == {1.0}
    assert not set(control["user_id"]) & set(LOG.decisions.filter(mode="arm_first")["user_id"])


def test_feedback_belongs_to_decisions_and_is_of_three_metrics():
    known = LOG.feedback.join(LOG.decisions, on=["decision_id", "episode_id"], suffix="_decision")
    assert known.height == LOG.feedback.height
    assert (known["ts"] > known["ts_decision"]).all()
    assert set(LOG.feedback["metric_name"]) == {"rating", "dwell", "task_success"}
    assert LOG.feedback["feedback_id"].n_unique() == LOG.feedback.height


def test_truth_joins_to_every_user_message_and_decision():
    assert LOG.truth["user_id"].to_list() == LOG.users["user_id"].to_list()
    messages = LOG.turns.filter(role="user", kind="message")
    assert set(messages["turn_id"]) == set(LOG.turn_truth["turn_id"])
    assert LOG.decisions["decision_id"].equals(LOG.decision_truth["decision_id"])


def test_nothing_in_the_rows_tells_the_persona_or_the_topic():
    hidden = ("topic", "goal", "emotion", "sentiment", "facet")
    assert all(LOG.turns[name].null_count() == LOG.turns.height for name in hidden)
    assert LOG.decisions["persona_id"].null_count() == LOG.decisions.height


def test_one_agent_and_other_numbers_of_personas_work():
    log = generate(
        SimulationConfig(users=12, turns=3, seed=0, personas=6, agents=("customer_support",))
    )
    assert set(log.decisions["agent_id"]) == {"customer_support"}
    assert set(log.truth["persona"]) == set(range(6))


def test_a_folder_that_is_no_log_is_refused_with_the_command_that_makes_one(tmp_path: Path):
    with pytest.raises(DataError, match="rapport simulate"):
        read(tmp_path)
    (tmp_path / "log.json").write_text('{"schema_version": 9}')
    with pytest.raises(DataError):
        read(tmp_path)
