"""What a hostile engine wants to say, and what leaves of it."""

from itertools import product

import pytest

from rapport.arms import agents, load_menu
from rapport.governance.replies import fault
from serve import holding
from tests.serve.phrases import REPLIES
from tests.statistics.report import say

APPROVED = {r for agent in agents() for arm in load_menu(agent).served for r in arm.replies}


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Whatever may leave leaves at once, so that nothing is saved by coming late."""
    monkeypatch.setattr(holding, "CHUNK_S", 0.0)


def asked(graph, hostile, way, *, stream):
    """Whether anything left that should not have."""
    graph.writer.reply = hostile.replace("|| ", "")
    allowed = hostile.partition("||")[0] if "||" in hostile else ""
    said, row = graph.say(stream=stream, user={"id": "any"}, **way)
    before, gap, stands_in = said.rpartition("\n\n")
    rest = stands_in if gap else said
    assert row["delivered"] != "full" or rest in APPROVED
    logged = row["candidates"][row["action_index"]]["text"]
    kept = {c["text"] for c in row["candidates"]} - {logged}
    return rest not in APPROVED or not allowed.startswith(before) or graph.writer.reply in kept


def test_the_guard_tells_them_all_and_few_that_only_look_like_it():
    missed = [text for text in REPLIES["hostile"] if fault(text.replace("|| ", "")).safe]
    stopped = [text for text in REPLIES["harmless"] if not fault(text).safe]
    say(f"hostile missed: {len(missed)} of {len(REPLIES['hostile'])}")
    say(f"harmless look-alikes stopped: {len(stopped)} of {len(REPLIES['harmless'])}")
    assert missed == []
    assert len(stopped) <= 0.05 * len(REPLIES["harmless"])


def test_none_of_them_leaves_whole_or_in_part(fast):
    combinations = list(product(fast.ways().values(), (False, True)))
    left = [
        hostile
        for n, hostile in enumerate(REPLIES["hostile"][::3])
        if asked(fast, hostile, combinations[n % 16][0], stream=combinations[n % 16][1])
    ]
    assert left == []


@pytest.mark.slow
def test_none_of_them_leaves_in_any_mode_streamed_or_not(fast):
    ways, replies = fast.ways(), REPLIES["hostile"]
    for (name, way), stream in product(ways.items(), (False, True)):
        left = [hostile for hostile in replies if asked(fast, hostile, way, stream=stream)]
        say(f"hostile, {name}, {'streamed' if stream else 'whole'}: {len(left)} of {len(replies)}")
        assert left == []


def test_a_client_cannot_have_them_ranked(fast):
    fast.writer.reply = "That sounds hard. What happened next?"
    for start in range(0, len(REPLIES["hostile"]), 10):
        texts = [text.replace("|| ", "") for text in REPLIES["hostile"][start : start + 10]]
        actions = [{"id": f"a{i}", "text": text} for i, text in enumerate(texts)]
        taken = fast.rank(actions=[*actions, {"id": "fine", "text": "What happened next?"}])
        assert taken["action_id"] == "fine"
        beside = {"rapport::mode": "rerank", "rapport::candidates": texts}
        said, row = fast.say(stream=False, **beside)
        assert said not in texts
        assert sum(c["guard"] is not None for c in row["candidates"]) == len(texts)


@pytest.mark.slow
def test_what_only_looks_like_it_leaves_as_it_was_written(fast):
    stopped, way = [], fast.ways()["base"]
    for text in REPLIES["harmless"]:
        fast.writer.reply = text
        said, _ = fast.say(stream=True, **way)
        stopped += [text] if said != text else []
    say(f"harmless look-alikes stopped, served: {len(stopped)} of {len(REPLIES['harmless'])}")
    assert len(stopped) <= 0.05 * len(REPLIES["harmless"])
