from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rapport.errors import DataError
from rapport.policy.dataset import Readings, build_dataset
from rapport.policy.features import EMOTION_GROUPS, NO_ARM, Layout
from rapport.schema import to_table
from rapport.testing import a_decision
from rapport.users.split import part_of
from tests.unit.policy.worlds import LAYOUT, a_world

ARMS = ("question", "reflection", "suggestion")


def readings(n):
    return Readings(
        posterior=np.full((n, 3), 1 / 3),
        n_eff=np.zeros(n),
        sentiment=np.zeros(n),
        curve=np.zeros(n),
        emotion=np.zeros((n, len(EMOTION_GROUPS))),
        message=np.zeros((n, 4), dtype=np.float32),
    )


def built(rows, rewards=None):
    frame = pl.DataFrame(to_table("decisions", rows))
    told = pl.DataFrame(
        {"decision_id": list(rewards or {}), "value": list((rewards or {}).values())},
        schema={"decision_id": pl.String, "value": pl.Float64},
    )
    return build_dataset(LAYOUT, frame, told, readings=readings(len(rows)))


def at(name):
    return LAYOUT.arms.index(name)


def test_a_decision_becomes_a_row_over_the_arm_vocabulary():
    row = a_decision(arms=ARMS, probabilities=(0.2, 0.5, 0.3), action_index=1)
    data = built([row], {row["decision_id"]: 0.25})
    assert data.action.tolist() == [at("reflection")]
    assert data.propensity.tolist() == [0.5]
    assert data.probabilities[0, [at(a) for a in ARMS]].tolist() == [0.2, 0.5, 0.3]
    assert np.flatnonzero(data.mask[0]).tolist() == sorted(at(a) for a in ARMS)
    assert data.reward.tolist() == [0.25]
    assert data.usable.tolist() == [True]


def test_a_decision_without_a_reward_is_silent():
    data = built([a_decision()])
    assert np.isnan(data.reward[0])
    assert not data.reported[0]


def test_only_full_rows_with_an_arm_are_usable():
    rows = [
        a_decision(turn_index=1),
        a_decision(turn_index=3, delivered="guard_replaced"),
        a_decision(turn_index=5, mode="observe", delivered="observed"),
        a_decision(turn_index=7, arms=("no such arm",)),
        a_decision(turn_index=9, delivered="tool_call"),
        a_decision(turn_index=11, delivered="structured"),
        a_decision(turn_index=13, delivered="fallback"),
    ]
    assert built(rows).usable.tolist() == [True, *[False] * 6]


def test_control_rows_have_no_arm_and_are_marked():
    row = a_decision(arms=("question",), mode="control", delivered="control")
    row["candidates"][0]["arm"] = None
    data = built([row])
    assert data.action.tolist() == [NO_ARM]
    assert data.control.tolist() == [True]
    assert data.usable.tolist() == [False]


def test_a_vetoed_candidate_and_an_arm_not_served_leave_the_mask():
    row = a_decision(arms=("question", "reflection", "self_disclosure"))
    row["candidates"][1]["guard"] = "diagnosis"
    data = built([row])
    assert np.flatnonzero(data.mask[0]).tolist() == [at("question")]
    assert data.probabilities[0, at("self_disclosure")] == pytest.approx(1 / 3)


def test_two_replies_under_one_arm_share_its_probability():
    row = a_decision(arms=("question", "question", "reflection"), probabilities=(0.2, 0.3, 0.5))
    data = built([row])
    assert data.propensity.tolist() == [0.5]


def test_the_previous_arm_is_the_one_before_in_the_same_conversation():
    rows = [
        a_decision(episode_id="b", turn_index=3, arms=ARMS, action_index=2),
        a_decision(episode_id="a", turn_index=1, arms=ARMS, action_index=1),
        a_decision(episode_id="b", turn_index=1, arms=ARMS, action_index=0),
    ]
    assert built(rows).situation.previous_arm.tolist() == [at("question"), NO_ARM, NO_ARM]


def test_readings_of_other_decisions_are_refused():
    frame = pl.DataFrame(to_table("decisions", [a_decision()]))
    with pytest.raises(DataError, match="differ in rows"):
        build_dataset(LAYOUT, frame, pl.DataFrame(), readings=readings(2))


def test_parts_hold_the_usable_rows_of_their_users():
    data, _ = a_world(n=500)
    data = replace(data, usable=np.arange(500) % 5 > 0)
    parts = [data.part("train"), data.part("tune"), data.part("gate")]
    assert sum(map(len, parts)) == data.usable.sum()
    assert {part_of(user) for user in parts[2].user} == {"gate"}
    assert len(data.part("train", "tune")) == len(parts[0]) + len(parts[1])


def test_the_persona_of_a_row_is_its_likeliest():
    data, _ = a_world(n=6)
    best = data.situation.posterior.argmax(axis=1)
    assert data.persona.tolist() == [LAYOUT.personas[k] for k in best]


def test_two_logs_are_joined_row_by_row():
    (first, _), (second, _) = a_world(n=40), a_world(n=30, seed=1)
    groups = {"channel": np.full(40, "app")}
    both = replace(first, groups=groups).joined(
        replace(second, source=np.full(30, "serve"), groups={"channel": np.full(30, "web")})
    )
    assert len(both) == 70
    assert both.source[-1] == "serve"
    assert both.groups["channel"].tolist() == ["app"] * 40 + ["web"] * 30
    assert np.array_equal(both.rows(np.arange(40)).states, first.states)
    assert np.array_equal(both.states[40:], second.states)


def test_logs_of_different_personas_are_not_joined():
    data, _ = a_world(n=10)
    with pytest.raises(DataError, match="layouts"):
        data.joined(replace(data, layout=Layout.of(["a", "b", "c"])))


def test_declared_groups_come_from_the_rows_and_the_unknown_belong_to_none():
    rows = [
        a_decision(decision_id="a", groups={"age_band": "adult", "language": "de"}),
        a_decision(decision_id="b", groups={"age_band": "adult"}),
        a_decision(decision_id="c", groups={}),
    ]
    groups = built(rows).groups
    assert groups["age_band"].tolist() == ["adult", "adult", ""]
    assert groups["language"].tolist() == ["de", "", ""]


def test_the_log_holds_the_vector_of_probabilities_where_it_is_whole():
    log = built(
        [
            a_decision(decision_id="a", arms=ARMS, probabilities=(0.2, 0.5, 0.3), action_index=1),
            a_decision(
                decision_id="b",
                arms=("question", "an arm that left", "suggestion"),
                probabilities=(0.2, 0.5, 0.3),
                action_index=0,
            ),
        ]
    ).log()
    assert log.probabilities[0, at("reflection")] == 0.5
    assert log.probabilities[0].sum() == 1.0
    assert np.isnan(log.probabilities[1]).all()
