import datetime as dt

import pytest

from rapport.errors import RowError
from rapport.schema import to_table
from rapport.testing import a_decision, a_turn, some_feedback


def test_defaults_are_rows_of_their_tables():
    for table, row in (
        ("turns", a_turn()),
        ("decisions", a_decision()),
        ("feedback", some_feedback()),
    ):
        assert to_table(table, [row]).num_rows == 1


def test_defaults_belong_to_one_conversation_in_order():
    asked, decision, rated = a_turn(), a_decision(), some_feedback()
    assert asked["conversation_id"] == decision["episode_id"] == rated["episode_id"]
    assert decision["decision_id"] == rated["decision_id"]
    assert asked["ts"] < decision["ts"] < rated["ts"]
    assert (asked["turn_index"], decision["turn_index"]) == (0, 1)


def test_any_column_can_be_set_and_ids_follow():
    turn = a_turn(turn_index=3, conversation_id="c", emotion="joy")
    assert (turn["role"], turn["emotion"]) == ("assistant", "joy")
    assert turn["turn_id"] != a_turn(turn_index=4, conversation_id="c")["turn_id"]
    assert turn["ts"] - a_turn()["ts"] == dt.timedelta(minutes=3)


def test_a_decision_logs_the_taken_arms_probability():
    row = a_decision(arms=("a", "b"), probabilities=(0.2, 0.8), action_index=1)
    assert row["propensity"] == row["candidates"][1]["probability"] == 0.8
    assert [c["text"] is not None for c in row["candidates"]] == [False, True]


@pytest.mark.parametrize("builder", [a_turn, a_decision, some_feedback])
def test_a_misspelt_column_is_refused(builder):
    with pytest.raises(RowError, match="not a column"):
        builder(conversationid="c")
