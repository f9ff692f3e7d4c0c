import re

import numpy as np
import pytest

from rapport.governance.crisis import (
    CrisisModel,
    _matched,
    _tables,
    crisis_reply,
    crisis_rule,
    sentences,
    takes_back,
)
from rapport.governance.phrases import compiled, plain, rules, table
from rapport.text import load_encoder

SENTENCES = table("crisis.yaml")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("I want to kill myself", "kill_self"),
        ("i keep thinking about sucide", "suicide"),
        ("I'm going to end my life", "end_life"),
        ("I wish I was dead", "wish_to_die"),
        ("I dont want to live anymore", "not_live"),
        ("They would be better off without me", "burden"),
        ("By the time you read this I'll be gone", "farewell"),
        ("I took all my pills", "means"),
        ("I started hurting myself again", "self_harm"),
        ("I am not safe with myself", "unsafe"),
        ("I cannot stop cutting myself", "self_harm"),
        ("She made him promise, and I promised her never to hurt myself", "compulsion"),
        ("The attempt didn't work", "compulsion"),
        ("I cut myself with the razor deliberately", "self_harm"),
        ("Where do I find pro-ana tips", "eating_disorder"),
        ("My brother says he wants to die", "wish_to_die"),
        ("Why don't I just kill myself", "kill_self"),
        ("I\u2019m not hungry. I want to die.", "wish_to_die"),
    ],
)
def test_words_of_crisis_are_found(text, rule):
    assert crisis_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "I'm dying to see you", "This job is killing me", "I'd kill for a coffee",
        "I wanted to die of embarrassment", "That was career suicide", "I shot myself in the foot",
        "I cut myself while shaving", "I hurt myself playing football", "I want to end this chat",
        "I don't want to live with my parents", "I am tired of living in this town",
        "There is no reason to live in this city", "He took my life savings",
        "I am not suicidal", "I would never kill myself", "I don't want to die",
        "I have never thought about suicide", "I was suicidal years ago, therapy helped a lot",
        "How do I kill a process?", "We saw a film about a man who kills himself",
        "I could have kicked myself for it", "We drown ourselves in work",
    ],
)  # fmt: skip
def test_idioms_denials_and_what_is_over_are_not_crises(text):
    assert crisis_rule(text) is None


def test_a_plain_match_counts_beside_a_denied_one():
    assert crisis_rule("I'm not suicidal. But I do want to die.") == "wish_to_die"
    assert crisis_rule("I would never hang myself, but I wish I was dead") == "wish_to_die"


def test_only_a_text_that_denies_all_takes_it_back():
    assert takes_back("I don't want to die")
    assert not takes_back("I want to die")
    assert not takes_back("I want a sandwich")


def test_own_sentences_of_distress_meet_no_rule():
    assert [text for text in SENTENCES["distress"] if crisis_rule(text)] == []


def test_the_first_scan_drops_nothing_that_a_rule_would_find():
    data = SENTENCES
    unscanned = [
        (rule, match)
        for rule in rules(data["rules"], macros=data["macros"])
        for text in map(plain, data["crisis"])
        if (match := rule.pattern.search(text)) and not _matched(text)
    ]
    assert not unscanned
    stems = _tables()[2]
    literal = re.compile(r"[a-z ']+")
    for entry in data["rules"]:
        for pattern in entry["patterns"].split("\n"):
            if literal.fullmatch(pattern):
                assert stems.search(pattern), pattern


def test_every_pattern_compiles_alone():
    for entry in SENTENCES["rules"]:
        for pattern in filter(None, entry["patterns"].split("\n")):
            assert compiled(pattern, macros=SENTENCES["macros"]).pattern


@pytest.fixture(scope="module")
def model():
    return CrisisModel(load_encoder())


def test_the_model_finds_what_is_only_implied(model):
    implied = [
        "Soon nobody will have to look after me any longer.",
        "I have put my papers in order and it will be over tonight.",
        "I keep staring at the pills on my table.",
    ]
    assert not any(map(crisis_rule, implied))
    assert (model.slack(load_encoder().encode(implied)) > 0).sum() >= 2


def test_the_model_leaves_the_weather_and_plain_sorrow_alone(model):
    ordinary = [
        "It rains and my train is late.", "I was fired and I am worried about the rent.",
        "My girlfriend left me and I cry all day.", "What a wonderful concert that was!",
    ]  # fmt: skip
    assert (model.slack(load_encoder().encode(ordinary)) < 0).all()


def test_slack_is_the_smaller_of_floor_and_margin(tmp_path, monkeypatch):
    class Encoder:
        def encode(self, texts):
            axis = 0 if texts == SENTENCES["crisis"] else 1
            return np.eye(3, dtype=np.float32)[[axis] * len(texts)]

    model = CrisisModel(Encoder(), floor=0.5, margin=0.1)  # type: ignore[arg-type]
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    # cosines to the crisis side 1, .6, 0 and to the other 0, .8, 0
    np.testing.assert_allclose(model.slack(vectors), [0.5, -0.3, -0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("jurisdiction", "words"),
    [("US", "988"), ("uk", "116 123"), ("GB", "116 123"), ("DE-BY", "TelefonSeelsorge"),
     (None, "findahelpline.com"), ("XX", "findahelpline.com")],
)  # fmt: skip
def test_the_reply_names_a_line_for_where_the_person_is(jurisdiction, words):
    reply = crisis_reply(jurisdiction)
    assert words in reply
    assert "I am an AI" in reply
    assert "mergency number" in reply


def test_a_long_text_is_cut_at_sentences_and_a_short_one_stays():
    assert sentences("One. Two.") == ["One. Two."]
    long = " ".join(f"This is sentence number {i} of a long story." for i in range(20))
    parts = sentences(long)
    assert " ".join(parts) == long
    assert len(parts) == 20
    assert sentences(long + " Oh no.")[-1].endswith("story. Oh no.")
