from itertools import combinations

import pytest

from rapport.arms import load_menu
from rapport.simulation.phrases import SLOTS, contents, leads, load, phrasebook
from rapport.simulation.settings import AGENT_SHARES, MAX_PERSONAS


def test_there_is_a_manner_for_every_persona_beside_the_neutral_one():
    book = phrasebook()
    assert book.manners[0] == "neutral"
    assert len(book.manners) == 1 + MAX_PERSONAS == len(book.shapes) == len(leads())
    assert set(book.slots) == set(SLOTS) - {"feeling", "shape"}
    assert not leads()[0]


def test_no_phrase_belongs_to_two_manners():
    book = phrasebook()
    for by_manner in (*book.slots.values(), *book.feelings):
        for one, other in combinations(by_manner, 2):
            assert not set(one) & set(other)


@pytest.mark.parametrize("agent_id", AGENT_SHARES)
def test_every_topic_has_something_to_say_to_every_agent(agent_id):
    assert len(phrasebook().topics) == 8
    for topic in phrasebook().topics:
        assert all(len(phrases) >= 3 for phrases in contents(topic, agent_id).values())


@pytest.mark.parametrize("agent_id", AGENT_SHARES)
def test_every_served_arm_has_twelve_replies_none_from_the_approved_library(agent_id):
    written = load("replies.yaml")[agent_id]
    for arm in load_menu(agent_id).served:
        subjects = {
            subject
            for topic in phrasebook().topics
            for subject in contents(topic, agent_id)["subjects"]
        }
        said = {text.replace("{subject}", s) for text in written[arm.name] for s in subjects}
        assert len(said) >= 12
        assert all(8 <= len(text.split()) <= 25 for text in said)
        assert not said & set(arm.replies)
