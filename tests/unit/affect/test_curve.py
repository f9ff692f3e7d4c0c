import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.affect.curve import CURVE, CurvePoint, CurveSettings, advance, boost, curve, curves

SENTIMENT = st.floats(-1, 1, allow_nan=False)
COURSES = st.lists(SENTIMENT, min_size=1, max_size=30)


def test_a_course_worked_by_hand():
    settings = CurveSettings(alpha=0.5, clip=1.0, scale_rate=0.0, start_scale=0.2)
    # 0 -> .1: half of it; then 1.0 is clipped to one scale of .2, and half of that is taken.
    assert curve([0.0, 0.1, 1.0], settings) == pytest.approx([0.0, 0.0, 0.05, 0.15])


def test_the_scale_follows_the_biweight_of_the_error():
    settings = CurveSettings(scale_rate=0.1, start_scale=0.4)
    point = advance(advance(CurvePoint(scale=0.4), 0.0, settings), 0.4, settings)
    biweight = 2.52 * (1 - (1 - 0.25) ** 3)  # an error of one scale, k = 2
    assert point.scale == pytest.approx(0.4 * np.sqrt(0.1 * biweight + 0.9))
    assert point.count == 2


def test_a_steady_mood_gives_a_flat_curve():
    assert np.ptp(curve([-0.6] * 8)) == 0


def test_nothing_said_is_an_even_curve():
    assert curve([]).tolist() == [0.0]


@given(COURSES)
@settings(deadline=None)
def test_the_curve_stays_between_the_extremes_it_has_seen(course):
    values = curve(course)
    assert len(values) == len(course) + 1
    assert values.min() >= min(course) - 1e-12
    assert values.max() <= max(course) + 1e-12


@given(COURSES, SENTIMENT)
@settings(deadline=None)
def test_one_sentiment_moves_the_curve_by_a_bounded_amount(course, outlier):
    point = CurvePoint()
    for sentiment in course:
        point = advance(point, sentiment)
    after = advance(point, outlier)
    assert abs(after.value - point.value) <= CURVE.alpha * CURVE.clip * point.scale + 1e-12
    assert after.scale <= point.scale * np.sqrt(1 + 1.52 * CURVE.scale_rate) + 1e-12
    assert CURVE.least_scale <= after.scale <= 1


@given(st.lists(COURSES, max_size=5))
@settings(max_examples=50, deadline=None)
def test_many_curves_at_once_are_the_same_as_one_by_one(courses):
    flat = np.array([value for course in courses for value in course])
    series = np.repeat(np.arange(len(courses)), [len(course) for course in courses])
    one_by_one = [value for course in courses for value in curve(course)[1:]]
    assert curves(flat, series.astype(np.int64)) == pytest.approx(one_by_one)


def test_a_message_without_a_score_leaves_its_curve_alone():
    values = curves(np.array([np.nan, 0.4, np.nan, -1.0]), np.array([0, 0, 0, 1]))
    assert np.isnan(values[0])
    assert values[1:].tolist() == [0.4, 0.4, -1.0]


def test_boost_is_the_deviation_from_the_line_before():
    assert boost([0.0, 0.1, 0.2, 0.8], n=3) == pytest.approx([0.0, 0.1, 0.2, 0.5])


def test_the_last_reply_of_a_falling_conversation_is_not_blamed_for_the_fall():
    assert boost([0.6, 0.3, 0.0, -0.3, -0.6], n=3)[3:] == pytest.approx([0, 0], abs=1e-12)


def test_before_there_is_a_line_rewards_stay_as_they_are():
    assert boost([0.5, -0.5, 0.2], n=3).tolist() == [0.5, -0.5, 0.2]


@given(st.floats(-1, 1), st.floats(-0.1, 0.1), st.integers(3, 6))
@settings(deadline=None)
def test_what_lies_on_a_line_has_no_boost(start, slope, n):
    rewards = start + slope * np.arange(12)
    assert boost(rewards, n=n)[n:] == pytest.approx(np.zeros(12 - n), abs=1e-9)
