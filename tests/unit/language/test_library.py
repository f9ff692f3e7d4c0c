from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import Arm, agents, load_menu
from rapport.errors import ConfigError, DataError
from rapport.language.library import LIBRARY_FILE, Library, approved_reply
from rapport.language.showing import Showing, recovered

MENU = load_menu()
ARM = MENU["question"]


def a_library(**right: int) -> Library:
    names = [arm.name for arm in MENU.served]
    shares = {name: recovered(right.get(name, 18), 20) for name in names}
    return Library({MENU.agent_id: Showing(chance=1 / 8, overall=recovered(100, 160), arms=shares)})


def test_arms_that_do_not_show_are_answered_from_the_library():
    library = a_library(clarify=2, normalising=3)

    assert library.unshown(MENU) == ("normalising", "clarify")
    assert library.answers(MENU.agent_id, "clarify")
    assert not library.answers(MENU.agent_id, "question")


def test_what_was_never_measured_counts_as_not_shown():
    other = load_menu("customer_support")

    assert a_library().unshown(other) == tuple(arm.name for arm in other.served)
    assert Library({}).answers("nobody", "question")


def test_a_library_comes_back_as_it_was_saved(tmp_path: Path):
    library = a_library(clarify=2)

    library.save(tmp_path)

    assert Library.load(tmp_path).showings == library.showings


@pytest.mark.parametrize("content", [None, "", "{}", '{"agents": {"a": {"chance": 1}}}', "[1]"])
def test_a_missing_or_broken_file_is_refused(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / LIBRARY_FILE).write_text(content)

    with pytest.raises(DataError, match=LIBRARY_FILE):
        Library.load(tmp_path)


@given(seed=st.integers(0, 2**63 - 1), given_so_far=st.integers(0, 4))
def test_a_conversation_gets_each_reply_once_while_there_are_new_ones(seed, given_so_far):
    used: list[str] = []
    for _ in range(given_so_far):
        used.append(approved_reply(ARM, used=used, seed=seed))

    reply = approved_reply(ARM, used=used, seed=seed)

    assert reply in ARM.replies
    assert reply not in used
    assert reply == approved_reply(ARM, used=used, seed=seed)


def test_when_all_were_given_the_last_one_is_not_given_again():
    used = list(ARM.replies)

    drawn = {approved_reply(ARM, used=used, seed=seed) for seed in range(50)}

    assert drawn == set(ARM.replies[:-1])


def test_seeds_reach_every_reply():
    assert {approved_reply(ARM, used=[], seed=seed) for seed in range(60)} == set(ARM.replies)


def test_an_arm_with_one_reply_repeats_it_and_one_with_none_is_an_error():
    single = Arm(name="x", instruction="X.", replies=("Yes.",))

    assert approved_reply(single, used=["Yes."], seed=0) == "Yes."
    with pytest.raises(ConfigError, match="replies"):
        approved_reply(single.model_copy(update={"replies": ()}), used=[], seed=0)


@pytest.mark.parametrize("agent", agents())
def test_every_served_arm_has_five_approved_replies(agent: str):
    for arm in load_menu(agent).served:
        assert len(set(arm.replies)) >= 5, arm.name
