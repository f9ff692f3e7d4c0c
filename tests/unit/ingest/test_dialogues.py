import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.arms import load_menu
from rapport.errors import RowError
from rapport.ingest.dialogues import ARMS, SPELLINGS, parse, whole_score


def parsed(record):
    return parse(record, tenant="default")


def broken(record, *path, value=...):
    """A copy with one field set, or taken out."""
    changed = copy.deepcopy(record)
    *way, last = path
    holder = changed
    for step in way:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return changed


def test_every_strategy_is_an_arm_of_the_menu():
    menu = load_menu("emotional_support")
    assert len(ARMS) == 8
    assert {menu[arm].name for arm in ARMS.values()} == set(ARMS.values())


def test_the_failed_dialogues_names_map_to_the_eight():
    assert SPELLINGS["Questions"] == ARMS["Question"]
    assert SPELLINGS["Other"] == ARMS["Others"]
    assert SPELLINGS["Restatement"] == ARMS["Restatement or Paraphrasing"]
    assert SPELLINGS["Approval and Reassurance"] == ARMS["Affirmation and Reassurance"]
    assert SPELLINGS["Direct Guidance"] == ARMS["Providing Suggestions"]


def test_the_three_layouts_of_one_dialogue_are_one_dialogue(a_record):
    flat, published, failed = (
        parsed(a_record(3, layout=name)) for name in ("flat", "published", "failed")
    )
    assert flat.dialogue_id == published.dialogue_id == failed.dialogue_id
    assert flat.turns == published.turns == failed.turns
    assert (flat.name, published.name) == ("valid-0003", None)


def test_the_id_follows_from_the_content_and_the_tenant(a_record):
    one = parsed(a_record(1))
    assert one.dialogue_id == parsed(a_record(1, dialog_id="other")).dialogue_id
    assert one.dialogue_id != parsed(a_record(2)).dialogue_id
    assert one.dialogue_id != parse(a_record(1), tenant="acme").dialogue_id


def test_consecutive_turns_of_a_speaker_are_one_run_whose_last_strategy_counts(a_record):
    dialogue = parsed(a_record())
    assert [(run.role, run.first, run.last) for run in dialogue.runs] == [
        ("user", 0, 0),
        ("assistant", 1, 1),
        ("user", 2, 2),
        ("assistant", 3, 4),
        ("user", 5, 6),
    ]
    assert [(run.arm, run.mixed) for run in dialogue.runs if run.arm] == [
        ("question", False),
        ("suggestion", True),
    ]


def test_a_rating_is_about_the_supporters_run_before_its_turn(a_record):
    dialogue = parsed(a_record(layout="published"))
    assert [(score.turn, score.value) for score in dialogue.ratings] == [(2, "4"), (6, "5")]
    assert dialogue.run_before(6).last == dialogue.run_before(5).last == 4
    assert dialogue.run_before(0) is None


@pytest.mark.parametrize(
    "field",
    ["experience_type", "emotion_type", "problem_type", "situation", "survey_score", "dialog"],
)
def test_a_missing_field_is_named(a_record, field):
    for layout in ("flat", "published"):
        with pytest.raises(RowError) as caught:
            parsed(broken(a_record(layout=layout), field))
        assert (caught.value.field, caught.value.reason) == (field, "is missing")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("dialog_id",), ..., "dialog_id"),
        (("dialog_id",), 7, "dialog_id"),
        (("dialog",), [], "dialog"),
        (("dialog",), "text", "dialog"),
        (("dialog", 1), "text", "dialog[1]"),
        (("dialog", 1, "speaker"), "bot", "dialog[1].speaker"),
        (("dialog", 1, "speaker"), ..., "dialog[1].speaker"),
        (("dialog", 1, "text"), 4, "dialog[1].text"),
        (("dialog", 1, "text"), "\ud83d", "dialog[1].text"),
        (("dialog", 1, "text"), ..., "dialog[1].content"),
        (("dialog", 3, "strategy"), "Singing", "dialog[3].strategy"),
        (("dialog", 3, "strategy"), ..., "dialog[3].strategy"),
        (("survey_score",), [1], "survey_score"),
        (("survey_score", "seeker"), "five", "survey_score.seeker"),
        (("emotion_type",), None, "emotion_type"),
    ],
)
def test_what_makes_a_dialogue_unusable_is_named(a_record, path, value, field):
    with pytest.raises(RowError) as caught:
        parsed(broken(a_record(), *path, value=value))
    assert caught.value.field == field
    assert "Singing" not in str(caught.value)


@pytest.mark.parametrize("record", [None, 3, "text", [], {}])
def test_a_record_that_is_no_dialogue_is_refused(record):
    with pytest.raises(RowError):
        parsed(record)


def test_scores_that_were_not_given_are_absent(a_record):
    assert set(parsed(a_record()).survey) == {
        "initial_emotion_intensity",
        "empathy",
        "supporter_relevance",
    }
    assert parsed(a_record(survey_score={"seeker": {"empathy": None}})).survey == {}


@given(st.integers(1, 5))
def test_a_score_may_be_a_number_or_digits(value):
    assert whole_score(value, field="x") == whole_score(f" {value} ", field="x") == value


@given(
    st.integers().filter(lambda i: not 1 <= i <= 5)
    | st.text().filter(lambda t: t.strip() not in ("1", "2", "3", "4", "5"))
    | st.booleans()
    | st.none()
    | st.floats()
    | st.lists(st.integers())
)
def test_any_other_score_is_refused(value):
    with pytest.raises(RowError, match="whole number from 1 to 5"):
        whole_score(value, field="x")
