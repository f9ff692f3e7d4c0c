import pytest

from rapport.arms import agents, arm_names, load_menu
from rapport.errors import UnknownNameError


@pytest.mark.parametrize("agent", agents())
def test_every_served_arm_has_an_instruction_and_five_approved_replies(agent):
    for arm in load_menu(agent).served:
        assert arm.instruction.endswith(".")
        assert len(set(arm.replies)) >= 5


def test_an_ai_claims_no_past_of_its_own():
    assert "self_disclosure" not in {arm.name for arm in load_menu().served}
    assert load_menu()["self_disclosure"].serve is False


def test_names_are_one_vocabulary_over_all_menus():
    assert list(arm_names()) == sorted(set(arm_names()))
    assert {"question", "apology", "clarify"} <= set(arm_names())


def test_an_unknown_arm_or_agent_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="question"):
        load_menu()["sing"]
    with pytest.raises(UnknownNameError, match="emotional_support"):
        load_menu("sales")


def test_the_prompt_is_tag_and_instruction():
    assert load_menu()["question"].prompt == "[question] Ask one open question."
