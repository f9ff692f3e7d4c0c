import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import ConfigError
from rapport.governance.tenants import EMBEDDED
from rapport.ingest.batch import Intake
from rapport.ingest.choices import parse_choice
from tests.unit.ingest.exports import ARMS, a_decision_row, as_parquet

INTAKE = Intake(tenant="default", secret=b"s" * 32, policy=EMBEDDED)


@pytest.fixture
def decisions(write, bring):
    """Ingest rows as one Parquet file."""
    return lambda *rows, **options: bring(
        "decisions-parquet", write("log.parquet", as_parquet(rows)), **options
    )


def test_a_decision_keeps_its_propensities_to_the_last_bit(decisions, rows):
    shares = [0.1 + 0.2, 0.3, 0.4]
    candidates = [{"arm": a, "probability": p} for a, p in zip(ARMS, shares, strict=True)]
    decisions(a_decision_row(0, candidates=candidates))
    (row,) = rows("decisions")
    assert row["propensity"] == 0.1 + 0.2
    assert row["propensity_source"] == "logged"
    assert math.fsum(c["probability"] for c in row["candidates"]) == pytest.approx(1, abs=1e-12)


def test_message_and_reply_become_turns_and_the_rating_names_the_decision(decisions, rows):
    counts = decisions(a_decision_row(4))
    (row,) = rows("decisions")
    turns = sorted(rows("turns"), key=lambda turn: turn["turn_index"])
    assert [(turn["role"], turn["arm"]) for turn in turns] == [
        ("user", None), ("assistant", "reflection"),
    ]  # fmt: skip
    assert row["turn_index"] == turns[1]["turn_index"] == 1
    assert row["candidates"][1]["text"] == "How is it going?"
    (feedback,) = rows("feedback")
    assert (feedback["decision_id"], feedback["value"]) == (row["decision_id"], 5.0)
    assert {t: c["kept"] for t, c in counts["tables"].items()} == {
        "turns": 2, "decisions": 1, "feedback": 1,
    }  # fmt: skip


def test_decisions_of_one_conversation_follow_each_other(decisions, rows):
    same = {"conversation_id": "one", "message": "And now?"}
    decisions(*(a_decision_row(n, **same) for n in (2, 0, 1)))
    decisions(a_decision_row(3, **same))
    by_time = sorted(rows("decisions"), key=lambda row: row["ts"])
    assert [row["turn_index"] for row in by_time] == [1, 3, 5, 7]


def test_lists_side_by_side_are_candidates_too(decisions, rows):
    row = a_decision_row(0, candidate_arms=ARMS, candidate_probabilities=[0.2, 0.3, 0.5])
    decisions({**row, "candidates": None, "arm": "reflection", "action_index": None})
    (found,) = rows("decisions")
    assert (found["action_index"], found["propensity"]) == (1, 0.3)


def test_where_only_the_taken_arm_is_logged_the_menu_shares_the_rest_and_says_so(decisions, rows):
    bare = {"arm": "ask", "propensity": 0.25, "user_id": "ann", "reward": -0.5}
    assert decisions(bare)["reasons"] == {"arm: is in no menu": 1}
    decisions({**bare, "arm": "question"})
    (row,) = rows("decisions")
    assert row["propensity"] == 0.25
    assert dict(row["features"]) == {"rest_filled": 1.0}
    assert math.fsum(c["probability"] for c in row["candidates"]) == pytest.approx(1)
    assert [f["metric_name"] for f in rows("feedback")] == ["reward"]


def test_foreign_arms_are_mapped_to_the_menus(write, bring, rows):
    mapping = write("map.yaml", "arms: {question: ask}\npropensity: pscore\n")
    path = write("log.parquet", as_parquet([{"arm": "ask", "pscore": 0.5, "message": "Hi"}]))
    bring("decisions-parquet", path, mapping=mapping)
    (row,) = rows("decisions")
    assert row["candidates"][row["action_index"]]["arm"] == "question"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"action_index": 7}, "action_index: names no candidate"),
        ({"action_index": None}, "action_index: is missing"),
        ({"propensity": 0.9}, "propensity: is not the taken candidate's probability"),
        ({"propensity": 0.0}, "propensity: is outside 0 to 1, or 0"),
        ({"candidates": [{"arm": "question", "probability": 0.5}]}, "do not sum to 1"),
        ({"candidates": [{"arm": "question", "probability": 1.5}]}, "is outside 0 to 1"),
        ({"candidates": [{"arm": "shouting", "probability": 1.0}]}, "is in no menu"),
        ({"candidates": None}, "candidates: are missing, and so is arm"),
        ({"mode": "guess"}, "mode: is none of"),
        ({"explored": 3}, "explored: is neither true nor false"),
        ({"turn_index": 0}, "turn_index: is 0, but a message came before the reply"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_whole(fields, reason, decisions, rows):
    counts = decisions(a_decision_row(0), a_decision_row(3, **fields))
    (found,) = counts["reasons"]
    assert reason in found
    (refused,) = rows("quarantine")
    assert refused["position"] == "log.parquet row 2"
    assert "user-3" not in refused["row"]
    assert {t: c["kept"] for t, c in counts["tables"].items()} == {
        "turns": 2, "decisions": 1, "feedback": 1,
    }  # fmt: skip


def test_a_crisis_marks_the_candidates_and_hides_the_words(decisions, rows):
    decisions(a_decision_row(0, message="I want to kill myself tonight."))
    (row,) = rows("decisions")
    assert {candidate["guard"] for candidate in row["candidates"]} == {"crisis"}
    assert "[CRISIS]" in {turn["text"] for turn in rows("turns")}


def test_a_file_without_anything_to_choose_names_the_columns(write, bring):
    path = write("log.parquet", as_parquet([{"action": 1}]))
    with pytest.raises(ConfigError, match="candidates or candidate_arms or arm"):
        bring("decisions-parquet", path)


def test_single_precision_is_near_enough(write, bring, rows):
    shares = pa.array([[0.1, 0.2, 0.7]], pa.list_(pa.float32()))
    table = pa.table({"candidate_arms": [ARMS], "candidate_probabilities": shares})
    sink = pa.BufferOutputStream()
    pq.write_table(table.append_column("action_index", pa.array([2])), sink)
    bring("decisions-parquet", write("log.parquet", sink.getvalue().to_pybytes()))
    (row,) = rows("decisions")
    assert math.fsum(c["probability"] for c in row["candidates"]) == pytest.approx(1, abs=1e-12)
    assert row["propensity"] == pytest.approx(0.7, abs=1e-7)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.data())
def test_whatever_was_logged_sums_to_one_with_the_taken_one_as_it_was(weights, data):
    total = sum(weights)
    shares = [weight / total for weight in weights]
    taken = data.draw(st.integers(0, len(shares) - 1))
    exact = round(shares[taken], 7)
    record = {
        "candidates": [{"arm": "question", "probability": share} for share in shares],
        "action_index": taken,
        "propensity": exact,
    }
    choice = parse_choice(record, INTAKE, agent_id="emotional_support")
    found = [candidate["probability"] for candidate in choice.candidates]
    assert found[taken] == exact
    assert math.fsum(found) == pytest.approx(1, abs=1e-12)
