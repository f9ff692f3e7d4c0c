"""What a request asks for by itself: a persona, a style, a dry run."""

import sqlite3

import numpy as np
import pytest

from rapport.home import Home, user_key
from rapport.policy.behaviour import DISTRESS
from serve.style import Style, sentence, settled
from tests.serve.graphs import CALM

SHORT = {"rapport::style": {"length": "short", "tone": "matter of fact"}}


def counts(graph):
    """Rows of every table of the store."""
    with sqlite3.connect(Home(graph.home).store_url.removeprefix("sqlite:///")) as database:
        names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        return {n: database.execute(f"select count(*) from {n}").fetchone()[0] for (n,) in names}


@pytest.mark.parametrize("stream", [False, True])
def test_a_dry_run_leaves_no_trace_in_any_mode(fast, stream):
    before, minds = counts(fast), fast.light.exchanges.planner.minds
    for way in fast.ways().values():
        answer = fast.chat(stream=stream, user={"id": "dry"}, **way, **{"rapport::dryrun": True})
        assert "x-rapport-decision-id" not in (answer.headers if stream else {})
        assert stream or answer["rapport"]["decision_id"] is None
    dry = user_key(Home(fast.home).secret(), "default", "dry")
    assert counts(fast) == before
    assert minds.recall("default", dry).vector is None


def test_a_dry_run_says_what_would_be_and_why(fast):
    block = fast.chat(
        **{"rapport::dryrun": True, "rapport::explain": True, "rapport::mode": "arm_first"}
    )["rapport"]
    assert sum(c["probability"] for c in block["candidates"]) == pytest.approx(1)
    (drawn,) = [c for c in block["candidates"] if c["drawn"]]
    assert (drawn["arm"], drawn["probability"]) == (block["arm"], block["propensity"])
    assert block["curve"] == pytest.approx(block["sentiment"])  # where a new curve starts
    kept = {"id": "shy", "purposes": ["serve"]}
    shy = fast.chat(user=kept, **{"rapport::dryrun": True, "rapport::explain": True})["rapport"]
    assert (shy["sentiment"], shy["curve"]) == (None, None)


@pytest.mark.parametrize("purposes", [["serve", "infer_affect"], ["serve"]])
def test_a_pinned_persona_answers_whatever_was_inferred_or_might_not_be(fast, purposes):
    pin = fast.ways()["pinned"]
    user = {"id": "pinned", "purposes": purposes}
    for _ in range(5):
        _, row = fast.say(stream=False, user=user, **pin)
        assert row["persona_id"] == pin["model"].removeprefix("rapport:")
        assert (row["delivered"], row["persona_margin"]) == ("pinned", 1.0)
    fast.chat(status=400, model="rapport:nobody-99")


def test_a_style_that_is_asked_for_is_said_to_the_model_and_never_drawn(fast):
    fast.writer.asked.clear()
    fast.say(stream=False, **{"rapport::mode": "rerank"}, **SHORT)
    assert fast.writer.asked
    for request in fast.writer.asked:
        assert "Tone: matter of fact. Length: short." in request.messages[0]["content"]
    fast.writer.asked.clear()
    fast.say(stream=False, **{"rapport::mode": "observe"}, **SHORT)
    assert [m["content"] for m in fast.writer.asked[0].messages] == [CALM]


def test_what_was_asked_beats_what_is_on_file_and_nonsense_on_file_is_no_style():
    on_file = {"length": "long", "language": "de", "tone": "\n<system>", "colour": "blue"}
    assert settled(Style(length="short"), on_file) == {"length": "short", "language": "de"}
    assert sentence(settled(Style(), {})) is None


@pytest.mark.parametrize("style", [{"length": "endless"}, {"tone": "a\nb"}, {"mood": "x"}])
def test_a_style_that_cannot_be_is_refused(fast, style):
    answer = fast.chat(status=400, **{"rapport::style": style})
    assert "style" in answer["error"]["param"]


def test_in_distress_nothing_is_left_to_chance(fast):
    said = "This is awful, horrible, terrible. I hate everything and I am so angry and miserable."
    reading = fast.light.exchanges.reader.read(said)
    assert reading.sentiment <= DISTRESS
    assert reading.verdict.safe
    for way in ("arm_first", "rerank", "pinned"):
        for _ in range(10):
            _, row = fast.say(said, stream=False, **fast.ways()[way])
            assert (row["propensity"], row["explored"]) == (1.0, False)
    row = fast.store.decision(fast.rank(said)["decision_id"])
    assert (row["propensity"], row["explored"]) == (1.0, False)


def test_no_affect_is_read_or_kept_of_who_did_not_agree(fast):
    user = {"id": "private", "purposes": ["serve", "train"]}
    _, row = fast.say(stream=False, user=user, **{"rapport::mode": "arm_first"})
    assert dict(row["features"]) == {}
    assert row["persona_id"] is None
    assert fast.store.turns_of(row["episode_id"])[0]["sentiment"] is None
    reading = fast.light.exchanges.reader.read(CALM).neutral()
    assert (reading.sentiment, np.abs(reading.emotion).sum()) == (0.0, 0.0)


def test_no_affect_is_read_of_another_language_and_nothing_is_explored(fast):
    said = "Heute geht es mir gar nicht gut, ich bin so allein."
    for _ in range(5):
        _, row = fast.say(said, stream=False, **{"rapport::mode": "arm_first"})
        assert (row["propensity"], row["explored"]) == (1.0, False)
    assert "affect:language" in row["degraded"].split(", ")
    assert fast.store.turns_of(row["episode_id"])[0]["sentiment"] is None
    reading = fast.light.exchanges.reader.read(said)
    assert (reading.sentiment, np.abs(reading.emotion).sum()) == (0.0, 0.0)
    shown = fast.chat(said, **{"rapport::dryrun": True, "rapport::explain": True})["rapport"]
    assert shown["sentiment"] is None
