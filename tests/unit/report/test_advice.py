import pytest

from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.pipeline.runs import Run, Runs
from rapport.report import page
from rapport.report.advice import advise
from rapport.report.facts import Facts
from rapport.testing import a_decision, a_turn, some_feedback
from rapport.testing.rows import START

ENGLISH = "I feel that nothing works for me and my boss knows it"
GERMAN = "Ich weiß nicht mehr weiter, mein Chef macht mir jeden Tag Druck"
SPANISH = "No puedo dormir desde hace semanas porque mi trabajo me agobia mucho"
JAPANESE = "最近仕事がつらくて眠れません"


@pytest.fixture
def facts(tmp_path):
    home = Home(tmp_path / "home")
    return Facts(home, Lake(home.lake), "default")


def a_log(facts, *, users=30, each=6, roles=("user", "assistant"), text=ENGLISH, **columns):
    rows = [
        a_turn(
            turn_id=f"t{user}-{index}",
            conversation_id=f"c{user}",
            user_id=columns.get("user_id", f"u{user}"),
            turn_index=index,
            role=roles[index % len(roles)],
            text=text,
            **{name: value for name, value in columns.items() if name != "user_id"},
        )
        for user in range(users)
        for index in range(each)
    ]
    facts.lake.append("turns", rows, writer="test")
    return facts


def found(facts):
    return " | ".join(one.finding for one in advise(facts))


def test_a_home_without_a_log_is_told_how_to_bring_one(facts):
    (only,) = advise(facts)
    assert only.remedy == "rapport ingest FORMAT PATH"


def test_a_log_that_nobody_may_read_is_told_why(facts):
    a_log(facts, purposes=["serve"])
    (only,) = advise(facts)
    assert only.finding == "no turns that may be read for analytics"


def test_conversations_without_users_are_told_from_users_of_one_conversation(facts):
    assert "name no user" not in found(a_log(facts))


def test_conversations_that_name_no_user_are_counted(facts):
    secret = facts.home.secret()
    rows = [
        a_turn(
            turn_id=f"t{n}", conversation_id=f"c{n}", user_id=user_key(secret, "default", f"c{n}")
        )
        for n in range(3)
    ]
    facts.lake.append("turns", rows, writer="test")
    assert "3 of 3 conversations name no user" in found(facts)


def test_one_user_is_no_crowd(facts):
    assert "one user" in found(a_log(facts, user_id="u0"))


@pytest.mark.parametrize(
    ("role", "said"), [("user", "no replies"), ("assistant", "no message of a user")]
)
def test_half_a_conversation_is_told(facts, role, said):
    assert said in found(a_log(facts, roles=(role,)))


@pytest.mark.parametrize("text", [GERMAN, SPANISH, JAPANESE])
def test_other_languages_are_told(facts, text):
    assert "not in English" in found(a_log(facts, text=text))


def test_english_is_not_taken_for_another_language(facts):
    assert "not in English" not in found(a_log(facts))


def test_of_replies_to_nobody_nothing_else_is_said(facts):
    assert found(a_log(facts, roles=("assistant",))) == "no message of a user, only replies"


def test_a_job_that_was_skipped_is_told_with_how_much_is_missing(facts):
    a_log(facts)
    short = '{"what": "replies", "have": 25, "need": 200, "remedy": "ingest more"}'
    run = Run(
        "default", "r1", "train_scorers", "failed", START, 1.0, "h", 1, "c", "{}", "h", "h",
        error="too_little_data", result=short,
    )  # fmt: skip
    Runs(facts.lake, tenant="default").note(run)
    told = next(one for one in advise(facts) if one.finding.startswith("train_scorers"))
    assert told.finding == "train_scorers was skipped: it needs 200 replies, and there are 25"
    assert told.remedy == "about 8 times as many conversations like these would do; ingest more"


def test_a_log_with_all_there_is_needs_no_advice(facts):
    a_log(facts, users=200, each=10)
    facts.lake.append("decisions", [a_decision()], writer="test")
    facts.lake.append("feedback", [some_feedback()], writer="test")
    assert found(facts) == ""


def test_the_page_says_the_same_and_makes_up_no_dates(facts, tmp_path):
    a_log(facts, ts_source="estimated", source="openai-jsonl")
    written = page.write_report(facts, tmp_path / "out").read_text(encoding="utf-8")
    written = written.replace("&#39;", "'")
    assert "30 conversations, undated;" in written
    for one in advise(facts):
        assert one.follows in written
