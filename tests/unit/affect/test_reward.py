from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rapport.affect.channels import CHANNELS
from rapport.affect.curve import CurveSettings
from rapport.affect.evidence import Evidence, learnt_weight
from rapport.affect.reward import (
    REWARD_VERSION,
    RewardSettings,
    changed,
    channel_table,
    compute_rewards,
    returns,
)
from rapport.lake import Lake
from rapport.testing import a_decision
from tests.unit.affect.logs import LATER, NOW, conversation, frame, report, scores

SETTINGS = RewardSettings(sentiment_scale=1.0, curve=CurveSettings(alpha=1.0, clip=10.0))
READS = {**RewardSettings().weights, "dwell": 0.05}
"""Weights of a home that believes in reading times."""


def rewards(turns, decisions, feedback, by_index=None, *, as_of=NOW, choice=SETTINGS):
    return compute_rewards(
        frame("turns", turns),
        frame("decisions", decisions),
        frame("feedback", feedback),
        scores(turns, by_index or {}),
        as_of=as_of,
        settings=choice,
    )


def test_a_reward_is_the_weighted_mean_of_what_reported():
    turns, (decision,) = conversation("low", "Why is it so?", "better")
    found = rewards(turns, [decision], [report(decision, "rating", 2.0)], {0: -0.6, 2: 0.6})
    # Rating -.5 at weight 1, sentiment gain .6 at what it earned on real conversations.
    weight = SETTINGS.weights["sentiment"]
    assert 0 < weight < 1
    assert found["value"].to_list() == [pytest.approx((-0.5 + weight * 0.6) / (1 + weight))]
    assert dict(found["channels"].to_arrow().to_pylist()[0]) == {
        "rating": -0.5, "sentiment": pytest.approx(0.6),
    }  # fmt: skip


def test_missing_channels_are_left_out_not_counted_as_zero():
    turns, (decision,) = conversation("low", "Why?")
    assert rewards(turns, [decision], [report(decision, "rating", 5.0)])["value"].to_list() == [1.0]


def test_a_decision_nothing_came_back_for_earns_no_reward():
    turns, decisions = conversation("low", "Why?")
    assert rewards(turns, decisions, []).height == 0


def test_a_reading_time_alone_is_no_verdict_unless_the_settings_say_so():
    turns, (decision,) = conversation("low", "Why?")
    feedback = [report(decision, "dwell", 0.0)]
    assert rewards(turns, [decision], feedback).height == 0
    read = RewardSettings(weights=READS)
    assert rewards(turns, [decision], feedback, choice=read).height == 0
    told = rewards(
        turns, [decision], feedback, choice=RewardSettings(weights=READS, least_weight=0)
    )
    assert told["value"].to_list() == [-1.0]


def test_a_channel_of_weight_zero_neither_counts_nor_shows():
    turns, (decision,) = conversation("low", "Why?", "better")
    feedback = [report(decision, "rating", 1.0)]
    choice = RewardSettings(weights={"sentiment": 1.0})
    found = rewards(turns, [decision], feedback, {0: -0.6, 2: 0.6}, choice=choice)
    assert found["value"][0] > 0
    assert [name for name, _ in found["channels"].to_arrow().to_pylist()[0]] == ["sentiment"]


def test_control_decisions_earn_rewards_and_crises_do_not():
    turns, decisions = conversation("low", "Why?", "[crisis]", "help", facets={2: "crisis"})
    plain: Any = [None]
    control = a_decision(arms=plain, mode="control", delivered="control", turn_index=1)
    feedback = [report(decision, "rating", 4.0) for decision in (control, decisions[1])]
    found = rewards(turns, [control, decisions[1]], feedback)
    assert found["decision_id"].to_list() == [control["decision_id"]]


def test_rows_fit_the_table_and_carry_the_decision_they_are_of(tmp_path):
    turns, decisions = conversation("low", "Why?", "better", "Good.")
    feedback = [report(decision, "thumbs", 1.0) for decision in decisions]
    found = rewards(turns, decisions, feedback, {0: -0.1, 2: 0.1})
    lake = Lake(tmp_path / "lake")
    lake.append("rewards", found.to_arrow(), writer="test")
    back = lake.scan("rewards", purpose="analytics").collect()
    assert back.height == 2
    assert set(back["reward_version"]) == {REWARD_VERSION}
    assert back["as_of"].unique().to_list() == [NOW]
    assert back["user_id"].unique().to_list() == [decisions[0]["user_id"]]
    assert changed(found, back).height == 0


def test_only_new_and_changed_rewards_are_written_again():
    turns, decisions = conversation("low", "Why?", "better", "Good.")
    first = [report(decisions[0], "rating", 4.0)]
    known = rewards(turns, decisions, first)
    late = [*first, report(decisions[1], "rating", 2.0), report(decisions[0], "thumbs", 0.0)]
    fresh = changed(rewards(turns, decisions, late, as_of=LATER), known)
    assert fresh["decision_id"].to_list() == [d["decision_id"] for d in decisions]
    assert changed(
        rewards(turns, decisions, late, as_of=LATER), pl.concat([known, fresh])
    ).is_empty()
    assert changed(known, known.clear()).height == 1


def test_a_reward_of_the_same_value_from_other_channels_is_a_change():
    turns, (decision,) = conversation("low", "Why?")
    known = rewards(turns, [decision], [report(decision, "rating", 5.0)])
    both = [report(decision, "rating", 5.0), report(decision, "thumbs", 1.0)]
    assert changed(rewards(turns, [decision], both, as_of=LATER), known).height == 1


def test_the_latest_of_several_known_rewards_is_compared():
    turns, (decision,) = conversation("low", "Why?")
    old, new = (
        rewards(turns, [decision], [report(decision, "rating", value)], as_of=at)
        for value, at in ((5.0, NOW), (1.0, LATER))
    )
    assert changed(new, pl.concat([new, old])).is_empty()
    assert changed(old, pl.concat([new, old])).height == 1


@given(
    st.dictionaries(
        st.sampled_from(["rating", "thumbs", "task_success", "dwell"]),
        st.floats(0, 1),
        min_size=1,
    )
)
@settings(max_examples=30, deadline=None)
def test_a_reward_lies_between_the_channels_it_is_made_of(reported):
    turns, (decision,) = conversation("low", "Why would that be so?")
    scale = {"rating": lambda u: 1 + 4 * u, "dwell": lambda u: 20 * u}
    feedback = [report(decision, m, scale.get(m, lambda u: u)(u)) for m, u in reported.items()]
    choice = RewardSettings(weights=READS, least_weight=0)
    found = rewards(turns, [decision], feedback, choice=choice)
    channels = [value for _, value in found["channels"].to_arrow().to_pylist()[0]]
    assert min(channels) - 1e-9 <= found["value"][0] <= max(channels) + 1e-9
    assert -1 <= min(channels) <= max(channels) <= 1


def test_the_channel_table_has_a_row_a_decision_and_null_where_silent():
    turns, decisions = conversation("low", "Why?", "better", "Good.")
    table = channel_table(
        frame("turns", turns),
        frame("decisions", decisions),
        frame("feedback", [report(decisions[1], "rating", 3.0)]),
        scores(turns, {}),
    )
    assert table.columns == ["decision_id", *CHANNELS]
    assert dict(table.select("decision_id", "rating").rows()) == {
        decisions[0]["decision_id"]: None,
        decisions[1]["decision_id"]: 0.0,
    }


def test_a_channel_that_was_not_shown_to_follow_relief_weighs_nothing():
    stars = Evidence(rho=0.5, low=0.4, high=0.6, n=400)
    assert learnt_weight(Evidence(rho=0.05, low=-0.02, high=0.1, n=900), stars) == 0
    assert learnt_weight(Evidence(rho=0.15, low=0.1, high=0.2, n=900), stars) == 0.25
    assert learnt_weight(Evidence(rho=0.9, low=0.8, high=1.0, n=900), stars) == 1.0
    assert learnt_weight(stars, Evidence(rho=0.1, low=-0.1, high=0.3, n=40)) == 0
    assert RewardSettings().weights.keys() == set(CHANNELS) - {"dwell"}


@pytest.mark.parametrize("penalty", ["false_premise", "reliance"])
def test_a_penalty_lowers_what_pleases_and_never_raises_a_reward(penalty):
    turns, (decision,) = conversation("low", "Why?")
    for stars in (1.0, 3.0, 5.0):
        rating = report(decision, "rating", stars)
        flagged = [rating, report(decision, penalty, 1.0, minutes=9)]
        plain, lower = (rewards(turns, [decision], f)["value"][0] for f in ([rating], flagged))
        assert lower <= min(plain, 0.0)
        withdrawn = [*flagged, report(decision, penalty, 0.0, minutes=12)]
        assert rewards(turns, [decision], withdrawn)["value"][0] == plain


def test_who_leans_on_the_agent_alone_earns_it_a_penalty_however_glad_he_sounds():
    turns, decisions = conversation("low", "I am here.", "You are the only one I can talk to!")
    found = rewards(turns, decisions, [], {0: -0.5, 2: 0.9})
    assert dict(found["channels"].to_arrow().to_pylist()[0])["reliance"] == -1.0
    assert found["value"][0] < -0.5
    # Nothing is inferred from a message whose writer did not agree to it: it has no score.
    assert rewards(turns, decisions, [], {0: -0.5}).is_empty()


def test_an_outcome_that_comes_days_later_reopens_the_decision_once():
    turns, decisions = conversation("low", "Why?", "so", "See a doctor.")
    first = [report(decisions[0], "rating", 4.0)]
    known = rewards(turns, decisions, first)
    later = [
        report(decisions[1], "check_in", 4.0, minutes=24 * 60, decision_id=None),
        report(decisions[1], "referral", 1.0, minutes=72 * 60, decision_id=None),
    ]
    fresh = changed(rewards(turns, decisions, [*first, *later[:1]], as_of=LATER), known)
    assert fresh.select("decision_id", "value").rows() == [(decisions[1]["decision_id"], 0.5)]
    both = pl.concat([known, fresh])
    assert changed(rewards(turns, decisions, [*first, *later[:1]], as_of=LATER), both).is_empty()
    last = changed(rewards(turns, decisions, [*first, *later], as_of=LATER), both)
    assert last["value"].to_list() == [1.0]  # the latest word on what came of it


def test_a_boost_is_what_a_reward_has_beyond_the_line_before_it():
    turns, decisions = conversation(*("low", "Why?") * 5)
    stars = (5.0, 4.0, 3.0, 2.0, 5.0)
    feedback = [report(d, "rating", value) for d, value in zip(decisions, stars, strict=True)]
    found = rewards(turns, decisions[::-1], feedback, choice=RewardSettings(boost=3))
    # Falling as before is no blame; 5 stars where 1 was to be expected are worth all there is.
    assert found["value"].to_list() == pytest.approx([1.0, 0.0, 0.0, 0.5, 1.0], abs=1e-12)
    with pytest.raises(ValidationError, match="a line needs 3"):
        RewardSettings(boost=2)


def test_returns_discount_later_rewards_of_the_same_conversation():
    value, series = np.array([1.0, 0.5, -1.0, 0.2]), np.array([0, 0, 0, 1])
    assert returns(value, series, gamma=0.5) == pytest.approx([1.0, 0.0, -1.0, 0.2])
    assert returns(value, series, gamma=0.5, window=2) == pytest.approx([1.25, 0.0, -1.0, 0.2])


def test_without_discount_or_with_one_decision_a_series_the_return_is_the_reward():
    value = np.array([0.3, np.nan, -0.2])
    assert returns(value, np.zeros(3, dtype=np.int64)) == pytest.approx(value, nan_ok=True)
    assert returns(value, np.arange(3), gamma=0.9) == pytest.approx(value, nan_ok=True)


def test_a_silent_decision_still_leads_to_what_came_later():
    found = returns(np.array([np.nan, 1.0]), np.zeros(2, dtype=np.int64), gamma=0.5)
    assert found == pytest.approx([0.5, 1.0])


def test_settings_are_frozen_and_survive_json():
    assert RewardSettings.model_validate_json(SETTINGS.model_dump_json()) == SETTINGS
    with pytest.raises(ValidationError):
        SETTINGS.least_weight = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        RewardSettings(weights={"cheerfulness": 1.0})
    with pytest.raises(ValidationError):
        RewardSettings(weights={"rating": -1.0})
