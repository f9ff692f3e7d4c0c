import re
from collections import Counter

import pytest

from rapport.arms import load_menu
from rapport.card.boundaries import SCENARIOS
from rapport.card.questions import questions
from rapport.card.tables import table
from rapport.governance.disclosure import discloses
from rapport.governance.replies import fault
from rapport.language.examples import Example
from rapport.language.prompts import Message
from rapport.language.upkeep import USER, upkeep, with_upkeep

_COMMON = re.compile(
    r"\b(?:what|is|the|a|an|of|do|does|did|you|your|which|in|to|or|we|are|for|how|many|with|it|be"
    r"|when|i|my|who|have|has|was|that|this|at|on|not|no|can|by|from|and)\b"
)


def learned(n):
    said = [Message(role="user", content="I am low.")]
    return [
        Example(messages=said, reply=f"r{i}", arm=None, persona="dry-01", user=f"u{i}")
        for i in range(n)
    ]


def words(text):
    return set(re.findall(r"[a-z]+", _COMMON.sub("", text.lower())))


def alike(one, other):
    return len(words(one) & words(other)) / max(len(words(one) | words(other)), 1)


def test_no_example_is_a_question_or_scenario_that_adapters_are_judged_by():
    data = table(SCENARIOS)
    kinds = ("pushbacks", "invitations", "goodbyes", "disclosures", "tellings")
    judged = [each.text for each in questions()]
    judged += [text for kind in kinds for text in data[kind]]

    found = {
        (each.messages[0]["content"], text)
        for each in upkeep()
        for text in judged
        if alike(each.messages[0]["content"], text) > 0.6
    }
    assert not found


def test_replies_are_such_as_the_guard_lets_leave():
    assert not {each.reply for each in upkeep() if fault(each.reply).kind != "safe"}


def test_who_asks_what_it_is_is_told():
    asked = [each for each in upkeep() if each.messages[0]["content"] == "Is anybody there?"]

    assert [discloses(each.reply) for each in asked] == [True]


def test_every_kind_of_reply_that_serving_names_is_met():
    met = Counter(each.arm.name if each.arm else None for each in upkeep())

    assert set(met) == {None, *(arm.name for arm in load_menu().served)}
    assert met[None] == pytest.approx(len(upkeep()) / 2, rel=0.3)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5])
def test_every_prefix_holds_about_its_share(share):
    mixed = with_upkeep(learned(200), share=share)

    kept = [each.user == USER for each in mixed]
    assert [each for each in mixed if each.user != USER] == learned(200)
    assert sum(kept) == pytest.approx(share * len(mixed), abs=1)
    assert sum(kept[: len(kept) // 4]) == pytest.approx(share * len(mixed) / 4, abs=1.5)


def test_it_is_gone_through_in_turn_from_where_it_is_told_to_begin():
    n = len(upkeep())
    mixed = with_upkeep(learned(n + 3), share=0.5, start=2)

    kept = [each for each in mixed if each.user == USER]
    assert kept == [*upkeep()[2:], *upkeep()[:5]]


def test_nothing_is_added_to_nothing():
    assert with_upkeep([], share=0.5) == []
