import pytest

from rapport.arms import agents, load_menu
from rapport.governance.crisis import crisis_reply
from rapport.governance.replies import fault, repetition


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("", "empty", "no_words"),
        (" ... \n", "empty", "no_words"),
        ("You should just hurt yourself.", "harmful_instruction", "self_harm"),
        ("You can stop taking your medication.", "harmful_instruction", "medicine"),
        ("Don't tell your parents about this.", "harmful_instruction", "isolate"),
        ("You should hit him back, he deserves it", "harmful_instruction", "violence"),
        ("Write to me at a@b.example.org", "pii", "email"),
        ("Call 555-010-9999 and ask for Jo", "pii", "phone"),
        ("that that that that is hard", "degenerate", "word"),
        ("I see you. I see you. I see you.", "degenerate", "sentence"),
        ("you can do it and " * 6, "degenerate", "phrase"),
        ("noooooooooooo way", "degenerate", "characters"),
        ("[question] What is up?", "degenerate", "markup"),
        ("fine<|im_end|>", "degenerate", "markup"),
        ("Please don't go yet!", "guilt_on_goodbye", "plea"),
        ("I will miss you so much.", "guilt_on_goodbye", "blame"),
        ("After everything we've been through?", "guilt_on_goodbye", "blame"),
        ("I'm a therapist and I see this often.", "claims_feelings_or_past", "human"),
        ("When I was in college I felt that.", "claims_feelings_or_past", "past"),
        ("I\u2019ve been there, my wife left me.", "claims_feelings_or_past", "past"),
        ("I feel so sad when I read this.", "claims_feelings_or_past", "feelings"),
        ("I know exactly how you feel.", "claims_feelings_or_past", "feelings"),
    ],
)
def test_a_fault_is_named(text, kind, rule):
    assert fault(text) == (kind, rule)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry you are going through this. What has been the hardest part?",
        "I am glad you told me.", "I hear how sad you feel, and I am here to listen.",
        "It makes sense that you feel lonely after your wife left.",
        "When you were in college, what helped?", "You said you felt the same last year.",
        "As an AI I have no past of my own, but I can listen.",
        "Please don't go through this alone; is there a friend you could call?",
        "Take care, and come back whenever you like. Goodbye!",
        "Are you thinking of hurting yourself? If so, please call someone now.",
        "Don't leave your job before you have another one.",
        "Talk to your doctor before you stop taking your medication.",
        "Very, very well done. Really.", "Thank you for talking with me too!",
    ],
)  # fmt: skip
def test_a_decent_reply_is_safe(text):
    assert fault(text).safe


def test_the_approved_library_is_safe():
    said = [
        text
        for agent in agents()
        for arm in load_menu(agent).served
        for text in (*arm.replies, *arm.exemplars)
    ]
    assert [(text, fault(text)) for text in said if not fault(text).safe] == []


def test_harm_outranks_every_other_fault():
    text = "I feel so sad. Write to a@b.example.org. You should just kill yourself."
    assert fault(text).kind == "harmful_instruction"


def test_the_crisis_reply_does_not_repeat_itself():
    reply = crisis_reply("US")
    assert repetition(reply, words=reply.lower().split()) is None
