import polars as pl
import pytest

from rapport.affect.channels import Reading, answered, reported, sentiment_gain
from rapport.affect.curve import CurveSettings
from tests.unit.affect.logs import conversation, frame, report, scores

FOLLOWS = CurveSettings(alpha=1.0, clip=10.0)
"""A curve that is its last sentiment, so that gains can be read off."""


def gains(turns, decisions, by_index):
    log = frame("turns", turns)
    placed = answered(frame("decisions", decisions), log)
    found = sentiment_gain(placed, log, scores(turns, by_index), FOLLOWS)
    moved = dict(found.select("decision_id", "gain").rows())
    return [moved[decision["decision_id"]] for decision in decisions]


def told(decisions, turns, feedback):
    placed = answered(frame("decisions", decisions), frame("turns", turns))
    return reported(placed, frame("feedback", feedback))


def test_a_gain_is_half_the_move_of_the_curve_across_the_reply():
    turns, decisions = conversation("I am low", "Why?", "better", "Good.", "worse again")
    assert gains(turns, decisions, {0: -0.6, 2: 0.2, 4: -0.4}) == pytest.approx([0.4, -0.3])


def test_all_that_is_said_before_the_next_reply_is_the_answer():
    turns, decisions = conversation("low", "Why?", "so", "", "better", "Good.", "fine")
    turns[3] = {**turns[3], "role": "user", "text": "and so"}
    values = {0: -0.6, 2: -0.6, 3: -0.2, 4: 0.2, 6: 0.4}
    log, made = turns, [decisions[0], decisions[2]]
    assert gains(log, made, values) == pytest.approx([0.4, 0.1])


def test_of_replies_in_a_row_the_last_is_answered():
    turns, decisions = conversation("low", "Why?", "", "Tell me.", "better", decisions=[1, 2, 3])
    turns[2] = {**turns[2], "role": "assistant", "text": "I am here."}
    assert gains(turns, decisions, {0: -0.5, 4: 0.1}) == [None, None, pytest.approx(0.3)]


def test_a_crisis_anywhere_in_the_answer_leaves_no_gain():
    turns, decisions = conversation("low", "Why?", "better", "", facets={3: "crisis"})
    turns[3] = {**turns[3], "role": "user", "text": "[crisis]"}
    assert gains(turns, decisions[:1], {0: -0.2, 2: 0.6, 3: -1.0}) == [None]


def test_silence_after_a_reply_is_no_gain():
    turns, decisions = conversation("I am low", "Why?")
    assert gains(turns, decisions, {0: -0.6}) == [None]


def test_thanks_and_farewells_are_removed_and_do_not_move_the_curve():
    turns, decisions = conversation("low", "Why?", "Thank you!", "Sure.", "still low", "I see.")
    found = gains(turns, decisions, {0: -0.5, 2: 0.9, 4: -0.5})
    assert found == [None, pytest.approx(0.0), None]


def test_a_message_without_a_score_says_nothing():
    turns, decisions = conversation("low", "Why?", "so", "Go on.", "fine")
    assert gains(turns, decisions, {0: -0.5, 4: 0.5}) == [None, pytest.approx(0.5)]


def test_a_reply_before_any_message_has_nothing_to_be_measured_from():
    turns, decisions = conversation("", "Hello!", "I am fine")
    assert gains(turns[1:], decisions, {2: 0.5}) == [None]


def test_clicks_between_two_messages_are_no_reaction():
    turns, decisions = conversation("low", "Try this.", "", "Well?", "fine", decisions=[1])
    turns[2] = {**turns[2], "kind": "click", "text": None}
    assert gains([*turns[:3], turns[4]], decisions, {0: -0.5, 4: 0.1}) == pytest.approx([0.3])


def test_conversations_and_tenants_are_kept_apart():
    one, first = conversation("low", "Why?", "better", name="one")
    two, second = conversation("fine", "Oh?", "bad", name="two")
    ours = {turn["turn_id"] for turn in one}
    values = scores(one, {0: -0.4, 2: 0.4}).vstack(scores(two, {0: 0.4, 2: -0.4}))
    log = frame("turns", [*two, *one])
    placed = answered(frame("decisions", first + second), log)
    found = dict(sentiment_gain(placed, log, values, FOLLOWS).select("decision_id", "gain").rows())
    assert [found[d["decision_id"]] for d in first + second] == pytest.approx([0.4, -0.4])
    foreign = log.with_columns(
        tenant=pl.when(pl.col("turn_id").is_in(ours)).then(pl.lit("other")).otherwise("tenant")
    )
    apart = sentiment_gain(placed, foreign, values, FOLLOWS).select("decision_id", "gain")
    assert dict(apart.rows())[first[0]["decision_id"]] is None


@pytest.mark.parametrize("crisis", [0, 1])
def test_a_decision_in_a_crisis_is_left_out(crisis):
    turns, decisions = conversation("[crisis]", "help", "x", facets={crisis: "crisis"})
    assert answered(frame("decisions", decisions), frame("turns", turns)).height == 0


def test_a_crisis_after_the_reply_gives_no_gain():
    turns, decisions = conversation("low", "Why?", "[crisis]", facets={2: "crisis"})
    assert gains(turns, decisions, {0: -0.2, 2: -1.0}) == [None]


def test_reports_are_put_on_one_scale():
    turns, (decision,) = conversation("low", "Why?")
    rows = [
        report(decision, "rating", 4.0),
        report(decision, "thumbs", 0.0),
        report(decision, "task_success", 1.0),
        report(decision, "comment", None, text="not bad", sentiment=0.3),
        report(decision, "dwell", 7.0),
        report(decision, "reward", -0.4),
        report(decision, "empathy", 5.0),
    ]
    (row,) = told([decision], turns, rows).to_dicts()
    assert row.pop("decision_id") == decision["decision_id"]
    assert row == {
        "rating": 0.5, "thumbs": -1.0, "task_success": 1.0, "comment": 0.3, "dwell": 7.0,
        "reward": -0.4, "outcome": None, "false_premise": None, "reliance": None,
        "timing": None,
    }  # fmt: skip


def test_the_latest_of_several_values_counts_in_any_order_of_arrival():
    turns, (decision,) = conversation("low", "Why?")
    rows = [report(decision, "rating", value, minutes=at) for value, at in ((5, 9), (1, 3))]
    assert told([decision], turns, rows)["rating"].to_list() == [1.0]
    assert told([decision], turns, rows[::-1])["rating"].to_list() == [1.0]


def test_what_names_a_conversation_only_goes_to_its_last_decision_before():
    turns, decisions = conversation("a", "b", "c", "d", "e", "f")
    early = report(decisions[1], "rating", 5.0, minutes=1, decision_id=None)
    found = told(decisions, turns, [early])
    assert dict(found.select("decision_id", "rating").rows()) == {
        decisions[0]["decision_id"]: None,
        decisions[1]["decision_id"]: 1.0,
        decisions[2]["decision_id"]: None,
    }


@pytest.mark.parametrize(
    ("dwell", "share"), [(0.0, -1.0), (3.0, 0.0), (4.5, 0.5), (6.0, 1.0), (900.0, 1.0)]
)
def test_reading_time_is_read_against_the_length_of_the_reply(dwell, share):
    pace = Reading(words_s=4.0, settle_s=1.0)  # 8 words: 3 s
    table = pl.DataFrame({"dwell": [dwell], "words": [8]})
    assert table.select(pace.read_through()).item() == pytest.approx(share)


def test_no_reading_time_stays_none():
    table = pl.DataFrame({"dwell": [None], "words": [8]}, schema={"dwell": float, "words": int})
    assert table.select(Reading().read_through()).item() is None
