from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.errors import UnknownNameError
from rapport.policy.features import (
    EMOTION_GROUPS,
    NO_ARM,
    Layout,
    feature_matrix,
    features,
    group_emotions,
    states,
)
from tests.unit.policy.worlds import LAYOUT, a_situation


def column(name: str) -> int:
    return LAYOUT.states.index(name)


def test_states_hold_what_their_names_say():
    situation = a_situation(n=3)
    found = states(LAYOUT, situation)
    assert found.shape == (3, len(LAYOUT.states))
    assert found.dtype == np.float32
    assert found[:, :3] == pytest.approx(situation.posterior, abs=1e-6)
    assert found[:, column("sentiment")] == pytest.approx(situation.sentiment, abs=1e-6)
    assert found[:, column("agent:emotional_support")].tolist() == [1, 1, 1]
    assert found[0, column("margin")] == pytest.approx(0.7, abs=1e-6)


def test_the_turn_index_is_capped_and_evidence_grows_slowly():
    late = replace(a_situation(n=2), turn_index=np.array([5, 500]), n_eff=np.array([0.0, 50.0]))
    found = states(LAYOUT, late)
    assert found[:, column("turn")].tolist() == [0.25, 1.0]
    assert found[:, column("evidence")] == pytest.approx([0.0, 1.0])


def test_a_persona_alone_has_all_the_margin():
    layout = Layout.of(["only-01"])
    situation = replace(a_situation(n=1), posterior=np.ones((1, 1)))
    assert states(layout, situation)[0, 1] == 1.0


def test_training_and_serving_see_the_same_features():
    state = states(LAYOUT, a_situation(n=4))
    whole = feature_matrix(LAYOUT, state)
    assert whole.shape == (4, len(LAYOUT.arms), LAYOUT.size)
    for row in range(4):
        for index, arm in enumerate(LAYOUT.arms):
            assert np.array_equal(features(LAYOUT, state[row], arm), whole[row, index])


def test_features_cross_the_arm_with_posterior_sentiment_and_agent():
    state = states(LAYOUT, a_situation(n=1))
    found = features(LAYOUT, state[0], "reflection")
    width, arms, arm = len(LAYOUT.states), len(LAYOUT.arms), LAYOUT.arms.index("reflection")
    crossed = found[width + arms :].reshape(-1, arms)
    assert crossed[:3, arm] == pytest.approx(state[0, :3])
    assert crossed[3, arm] == pytest.approx(state[0, column("sentiment")])
    assert crossed[4:, arm] == pytest.approx(state[0, -len(LAYOUT.agents) :])
    assert np.count_nonzero(np.delete(crossed, arm, axis=1)) == 0


def test_a_text_counts_as_the_arms_it_shows():
    state = states(LAYOUT, a_situation(n=1))[0]
    pure = [features(LAYOUT, state, arm) for arm in ("question", "reflection")]
    shown = {"question": 0.25, "reflection": 0.75}
    mixed = features(LAYOUT, state, "question", shown)
    assert mixed == pytest.approx(0.25 * pure[0] + 0.75 * pure[1], abs=1e-6)


@given(st.integers(1, 5), st.integers(0, 50))
def test_every_feature_stays_within_about_one(n, seed):
    assert np.abs(feature_matrix(LAYOUT, states(LAYOUT, a_situation(n=n, seed=seed)))).max() <= 1.01


def test_menus_become_masks_over_one_vocabulary():
    agent = LAYOUT.agent_index(["emotional_support", "customer_support"])
    served = LAYOUT.served(agent)
    for row, name in enumerate(("emotional_support", "customer_support")):
        names = {LAYOUT.arms[i] for i in np.flatnonzero(served[row])}
        assert names == {arm.name for arm in load_menu(name).served}
    unsafe = served & ~LAYOUT.safe(agent)
    assert [LAYOUT.arms[i] for i in np.flatnonzero(unsafe[1])] == ["escalation"]


def test_arms_that_are_unknown_or_absent_have_no_position():
    assert LAYOUT.arm_index([None, "no such arm"]).tolist() == [NO_ARM, NO_ARM]


def test_an_agent_without_a_menu_is_refused():
    with pytest.raises(UnknownNameError, match="no agent is called 'pirate'"):
        LAYOUT.agent_index(["emotional_support", "pirate"])


def test_emotion_labels_are_summed_into_groups():
    names = ["joy", "sadness", "grief", "neutral"]
    grouped = group_emotions(np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.9, 0.9, 0.0]]), names)
    sadness = list(EMOTION_GROUPS).index("sadness")
    assert grouped[:, sadness] == pytest.approx([0.5, 1.0])
    assert grouped[0].sum() == pytest.approx(0.6)
