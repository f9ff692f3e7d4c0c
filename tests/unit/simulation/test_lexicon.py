import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.simulation.lexicon import MARKS, overlap, read
from rapport.simulation.phrases import contents, leads, load, phrasebook
from rapport.simulation.settings import AGENT_SHARES


def heard(text: str) -> str:
    return MARKS[int(read([text]).marks[0].argmax())]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What would you like to happen next?", "question"),
        ("So you were promised one thing and given another.", "restatement"),
        ("That sounds exhausting, it must be hard to carry.", "reflection"),
        ("I am proud of you, that was a brave thing to say!", "affirmation"),
        ("Maybe you could try a warm bath before going to bed.", "suggestion"),
        ("Research shows that sleep gets better within two weeks.", "information"),
        ("Many people have the same worry, it is quite normal.", "normalising"),
        ("Do you mean your manager, or did I misunderstand you?", "clarify"),
        ("We apologise for the delay, sorry about this.", "apology"),
        ("A colleague can take over and call you, I will transfer it.", "escalation"),
    ],
)
def test_a_reply_nobody_wrote_for_this_is_heard_as_its_kind(text, kind):
    assert heard(text) == kind


def test_the_approved_library_is_heard_as_its_arm_in_nine_of_ten_cases():
    pairs = [
        (arm.name, heard(reply))
        for agent_id in AGENT_SHARES
        for arm in load_menu(agent_id).served
        for reply in arm.replies
    ]
    assert sum(arm == kind for arm, kind in pairs) >= 0.9 * len(pairs) > 50


def test_every_simulated_reply_is_heard_as_its_arm_whatever_the_subject():
    for agent_id in AGENT_SHARES:
        for arm in load_menu(agent_id).served:
            for template in load("replies.yaml")[agent_id][arm.name]:
                for topic in phrasebook().topics:
                    for subject in contents(topic, agent_id)["subjects"]:
                        assert heard(template.replace("{subject}", subject)) == arm.name


def test_plain_replies_and_leads_show_no_kind():
    plain = [
        text for agent_id in AGENT_SHARES for text in load("replies.yaml")[agent_id]["control"]
    ]
    assert read(plain + [lead for manner in leads() for lead in manner]).marks.max() < 0.05


def test_marks_grow_with_what_is_said_and_differ_in_strength():
    weak, strong = read(
        ["Sleep usually returns.", "Studies show that sleep usually returns."]
    ).marks
    column = MARKS.index("information")
    assert weak[column] == pytest.approx(0.40)  # "usually" alone
    assert strong[column] == pytest.approx(1 - 0.6 * 0.2)  # and "studies ... show", as a noisy or
    assert 0 < weak[column] < strong[column] < 1


def test_a_check_back_is_hardly_a_question_though_it_has_a_question_mark():
    marks = dict(zip(MARKS, read(["Do you mean this week?"]).marks[0], strict=True))
    assert marks["clarify"] == pytest.approx(0.65)
    assert marks["question"] == pytest.approx((1 - 0.6 * 0.75) * (1 - 0.8 * 0.65))
    assert marks["question"] < 0.3 < marks["clarify"]


def test_a_lead_is_read_as_its_manner():
    for index, manner in enumerate(leads()):
        for lead in manner:
            assert read([f"{lead} The rest of it."]).manners[0].nonzero()[0].tolist() == [index]


def test_long_and_repetitive_replies_are_flawed():
    fine, long, repetitive = read(
        [
            "You could try to rest today.",
            " ".join(f"word{'x' * i}" for i in range(60)),
            "no no " * 12,
        ]
    ).flaw
    assert fine == 0
    assert long == pytest.approx(0.5)
    assert repetitive > 0.5


def test_overlap_is_the_share_of_words_in_both():
    assert overlap(frozenset("ab"), frozenset("bc")) == pytest.approx(1 / 3)
    assert overlap(frozenset(), frozenset()) == 0


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_any_text_reads_as_finite_bounded_numbers(texts):
    reading = read(texts)
    assert reading.marks.shape == (len(texts), len(MARKS))
    assert np.all((reading.marks >= 0) & (reading.marks <= 1))
    assert np.all(reading.attention().sum(axis=1) <= 1 + 1e-12)
    assert np.all((reading.flaw >= 0) & (reading.flaw <= 0.6))
