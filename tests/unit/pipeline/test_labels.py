import math

import pytest

from rapport.arms import load_menu
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.label_rows import POLICY_ID
from rapport.pipeline.labels import label_arms
from rapport.pipeline.settings import LabelConfig
from rapport.testing.rows import a_decision, a_turn

SERVED = [arm.name for arm in load_menu("emotional_support").served]
REPLIES = (
    "What has been the hardest part of the week?",
    "It sounds like you feel left alone with it.",
    "Blue seven marble.",
)


@pytest.fixture
def config(tmp_path):
    return LabelConfig(home=tmp_path)


@pytest.fixture
def lake(config):
    return Lake(Home(config.home).lake)


def talk(number=0, *, replies=REPLIES, **columns):
    """A conversation in which the user speaks first and after every reply."""
    base = {"conversation_id": f"0000-{number:04d}", "source": "openai-jsonl", **columns}
    turns = []
    for place, reply in enumerate(replies):
        said = {"role": "user", "text": f"It has been week {place} of it.", "arm": None}
        turns.append(a_turn(**{**base, **said, "turn_index": 2 * place}))
        turns.append(a_turn(**{**base, "text": reply, "turn_index": 2 * place + 1}))
    return turns


def decisions(lake):
    return lake.scan("decisions", purpose="train").sort("ts").collect().to_dicts()


def test_sure_replies_become_decisions_and_the_others_stay_unlabelled(config, lake):
    lake.append("turns", talk(), writer="test")
    told = label_arms(config)
    assert (told["labelled"], told["unsure"], told["decisions"]) == (2, 1, 2)
    rows = decisions(lake)
    assert [row["candidates"][row["action_index"]]["arm"] for row in rows] == [
        "question", "reflection",
    ]  # fmt: skip
    assert [row["turn_index"] for row in rows] == [1, 3]
    assert {row["propensity_source"] for row in rows} == {"estimated"}
    for row in rows:
        shares = [candidate["probability"] for candidate in row["candidates"]]
        assert [candidate["arm"] for candidate in row["candidates"]] == SERVED
        assert math.fsum(shares) == pytest.approx(1, abs=1e-9)
        assert row["propensity"] == shares[row["action_index"]] >= 0.01
        assert config.confidence <= dict(row["features"])["label_confidence"] < 1


def test_a_second_run_adds_nothing(config, lake):
    lake.append("turns", talk(), writer="test")
    label_arms(config)
    before = decisions(lake)
    assert label_arms(config)["decisions"] == 0
    assert decisions(lake) == before


def test_new_turns_are_labelled_beside_the_old_ones(config, lake):
    lake.append("turns", talk(0), writer="test")
    label_arms(config)
    lake.append("turns", talk(1), writer="test")
    assert label_arms(config)["decisions"] == 2
    assert len({row["decision_id"] for row in decisions(lake)}) == 4


def test_logs_that_carry_decisions_are_left_alone_and_named(config, lake):
    lake.append("turns", talk(source="simulation"), writer="test")
    lake.append("decisions", [a_decision(source="simulation")], writer="test")
    told = label_arms(config)
    assert told["left alone"] == {"simulation": 1}
    assert told["note"] == "the logs of simulation carry arms or decisions; nothing to label"
    assert len(decisions(lake)) == 1


def test_conversations_with_a_decision_of_another_file_are_left_alone(config, lake):
    lake.append("turns", [*talk(0), *talk(1)], writer="test")
    logged = a_decision(episode_id="0000-0000", source="decisions-parquet")
    lake.append("decisions", [logged], writer="test")
    label_arms(config)
    made = [row for row in decisions(lake) if row["policy_id"] == POLICY_ID]
    assert {row["episode_id"] for row in made} == {"0000-0001"}


def test_an_arm_that_the_log_names_is_taken_as_it_is(config, lake):
    turns = [*talk(0, replies=REPLIES[2:], arm="suggestion"), *talk(1, replies=REPLIES[2:])]
    lake.append("turns", turns, writer="test")
    told = label_arms(config)
    assert told["arms"] == {"suggestion": 1}
    (row,) = decisions(lake)
    assert dict(row["features"]) == {"label_confidence": 1.0}


@pytest.mark.parametrize(
    "columns",
    [{"purposes": ["serve"]}, {"facet": "crisis"}, {"tenant": "acme"}, {"kind": "tool_call"}],
    ids=lambda columns: next(iter(columns)),
)
def test_what_may_not_be_learned_from_is_not_labelled(columns, config, lake):
    lake.append("turns", talk(**columns), writer="test")
    told = label_arms(config)
    assert told["replies"] == told["decisions"] == 0
    assert "no reply to label" in told["note"]


def test_an_empty_lake_is_no_error(config):
    assert label_arms(config)["decisions"] == 0


def test_at_its_budget_it_keeps_what_it_has_and_says_so(config, lake, monkeypatch):
    monkeypatch.setattr("rapport.pipeline.labels._BLOCK", 2)
    lake.append("turns", talk(), writer="test")
    told = label_arms(config.model_copy(update={"budget_s": 1e-9}))
    assert told["stopped_by"] == "budget, 1 replies left"
    assert told["decisions"] == 2
