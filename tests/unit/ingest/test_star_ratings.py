import pytest

from rapport.errors import RowError
from rapport.ingest import star_ratings
from rapport.ingest.dialogue_rows import Told
from rapport.ingest.dialogues import Score, parse
from rapport.ingest.star_ratings import rating_in, rating_of


def rows(path):
    return list(star_ratings.rated_lines(path))


@pytest.fixture
def told(a_record):
    return Told(parse(a_record(), tenant="default"), "esconv")


def test_a_line_rates_the_run_before_the_seekers_turn(write, rated_lines, told):
    path = write("turn_feedback.csv", rated_lines(0))
    found = [rating_of(rated, told)[1] for rated in rows(path)]
    assert [(r.run.first, r.run.last, r.turn, r.value) for r in found] == [
        (1, 1, 2, 4),
        (3, 4, 6, 5),
    ]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (",4\n", ",9\n", "feedback"),
        (",4\n", ",0\n", "feedback"),
        (",4\n", ",\n", "feedback"),
        (",4\n", "\n", "feedback"),
        (",2,2,", ",2,1,", "seeker_last_turn"),
        (",2,2,", ",2,700,", "seeker_last_turn"),
        (",2,2,", ",2,-1,", "seeker_last_turn"),
        (",2,2,", ",2,two,", "seeker_last_turn"),
        (",2,2,", ",2,²,", "seeker_last_turn"),
        (",1,1,", ",0,1,", "supporter_first_turn"),
        (",1,1,", ",3,4,", "supporter_first_turn"),
        (",1,1,", ",1,,", "supporter_last_turn"),
        ("Question", '"Question', ""),
    ],
)
def test_a_wrong_line_names_its_field(write, rated_lines, told, old, new, field):
    path = write("turn_feedback.csv", rated_lines(0).replace(old, new, 1))
    first, second = rows(path)
    with pytest.raises(RowError) as caught:
        rating_of(first, told)
    assert caught.value.field == field
    assert rating_of(second, told)[1].value == 5


def test_a_header_without_a_column_makes_every_line_miss_it(write, rated_lines, told):
    path = write("turn_feedback.csv", rated_lines(0).replace("feedback", "stars", 1))
    for rated in rows(path):
        with pytest.raises(RowError, match=r"'feedback'.*missing"):
            rating_of(rated, told)


def test_a_line_about_a_dialogue_that_was_not_read_is_refused(write, rated_lines):
    (rated, _) = rows(write("turn_feedback.csv", rated_lines(7)))
    with pytest.raises(RowError, match="dialog_id"):
        rating_of(rated, None)


def test_a_rating_before_any_supporters_turn_is_refused(told):
    assert rating_in(told.dialogue, Score("x", "3", 5)).run.last == 4
    with pytest.raises(RowError, match="rates no turn of the supporter"):
        rating_in(told.dialogue, Score("x", "3", 0))
