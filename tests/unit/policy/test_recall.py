from dataclasses import fields, replace

import numpy as np
import pytest

from rapport.policy.features import NO_ARM, states
from rapport.policy.recall import (
    from_features,
    personas_in,
    shares_from_features,
    shares_to_features,
    to_features,
)
from tests.unit.policy.worlds import LAYOUT, a_situation


def a_row(situation, **more):
    told = to_features(LAYOUT, situation)
    turn = int(situation.turn_index[0])
    return {"features": told, "turn_index": turn, "agent_id": "emotional_support", **more}


@pytest.mark.parametrize("before", [NO_ARM, 2])
def test_a_state_that_was_logged_is_the_same_again(before):
    known = replace(a_situation(n=1, seed=3), previous_arm=np.array([before]))
    again = from_features(LAYOUT, a_row(known))
    assert again is not None
    for field in fields(known):
        if field.name != "message":
            assert np.array_equal(getattr(again, field.name), getattr(known, field.name)), (
                field.name
            )
    assert np.array_equal(states(LAYOUT, again), states(LAYOUT, known))


@pytest.mark.parametrize("features", [None, {}, {"sentiment": 0.5}])
def test_a_row_that_does_not_hold_it_gives_none(features):
    row = a_row(a_situation(n=1), features=features)
    assert from_features(LAYOUT, row) is None
    assert personas_in(row) == {}


def test_personas_are_read_by_name():
    assert personas_in(a_row(a_situation(n=1))).keys() == set(LAYOUT.personas)


def test_shares_of_a_text_are_the_same_again_and_all_served_arms_where_there_are_none():
    share = np.zeros(len(LAYOUT.arms))
    share[[1, 4]] = 0.25, 0.75
    told = {"features": {**shares_to_features(LAYOUT, share), "price": 3.0}}
    assert shares_from_features(LAYOUT, "emotional_support", told) == pytest.approx(share)
    even = shares_from_features(LAYOUT, "emotional_support", {"features": None})
    served = LAYOUT.served(LAYOUT.agent_index(["emotional_support"]))[0]
    assert even == pytest.approx(served / served.sum())
