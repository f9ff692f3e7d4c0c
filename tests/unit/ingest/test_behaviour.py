import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.ingest.behaviour import FLOOR, Choice, frequencies, log_loss, propensities

ARMS = 3


def a_choice(*, arm=0, dialogue=0, fit=True, message="hello", previous="", position=0):
    return Choice(
        dialogue_id=str(uuid.UUID(int=dialogue)),
        position=position,
        previous=previous,
        message=message,
        types={"emotion_type": "anxiety"},
        arm=arm,
        fit=fit,
    )


def telling(dialogues, *, fit=True, first=0):
    """Runs whose arm follows from the last word of the message."""
    return [
        a_choice(arm=d % ARMS, dialogue=first + d, message=f"about word{d % ARMS}", fit=fit)
        for d in range(dialogues)
        for _ in range(2)
    ]


def test_frequencies_count_one_more_of_each():
    assert frequencies(np.array([0, 0, 2]), 3).tolist() == pytest.approx([3 / 6, 1 / 6, 2 / 6])


def test_log_loss_of_a_worked_example():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert log_loss(probabilities, np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.75)) / 2
    )


@settings(deadline=None, max_examples=12)
@given(arms=st.lists(st.integers(0, ARMS - 1), max_size=60), fit=st.booleans())
def test_probabilities_are_above_the_floor_and_sum_to_one(arms, fit):
    choices = [a_choice(arm=arm, dialogue=i, fit=fit) for i, arm in enumerate(arms)]
    found = propensities(choices, arms=ARMS)
    assert found.shape == (len(arms), ARMS)
    assert np.all(found >= FLOOR - 1e-12)
    assert np.abs(found.sum(axis=1) - 1).max(initial=0) < 1e-12


def test_the_model_learns_what_the_message_tells_about_the_arm():
    choices = telling(300)
    taken = np.array([choice.arm for choice in choices])
    found = propensities(choices, arms=ARMS)
    plain = np.tile(frequencies(taken, ARMS), (len(taken), 1))
    assert log_loss(found, taken) < 0.8 * log_loss(plain, taken)
    assert (found.argmax(axis=1) == taken).all()


def test_a_dialogue_never_teaches_the_model_that_judges_it():
    choices = telling(300)
    mine = [i for i, choice in enumerate(choices) if choice.dialogue_id == choices[10].dialogue_id]
    others = [replace(choice, arm=0) if i in mine else choice for i, choice in enumerate(choices)]
    assert choices[10].arm == 2
    before, after = (propensities(some, arms=ARMS) for some in (choices, others))
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before, after)


def test_rows_kept_out_of_the_fit_change_no_estimate_but_get_one():
    choices = telling(300)
    outside = [
        a_choice(arm=0, dialogue=1000 + i, message="about word2", fit=False) for i in range(40)
    ]
    alone, beside = propensities(choices, arms=ARMS), propensities(choices + outside, arms=ARMS)
    assert np.array_equal(alone, beside[: len(choices)])
    assert (beside[len(choices) :].argmax(axis=1) == 2).all()


def test_too_few_runs_give_smoothed_frequencies():
    choices = [a_choice(arm=1, dialogue=i, fit=i > 0) for i in range(9)]
    expected = FLOOR + (1 - ARMS * FLOOR) * frequencies(np.ones(8, int), ARMS)
    assert propensities(choices, arms=ARMS)[0] == pytest.approx(expected)
    lonely = propensities([a_choice(fit=False)], arms=ARMS)
    assert lonely[0].tolist() == pytest.approx([1 / ARMS] * ARMS)


def test_an_arm_that_was_never_taken_keeps_the_floor():
    choices = [a_choice(arm=i % 2, dialogue=i) for i in range(400)]
    assert propensities(choices, arms=ARMS)[:, 2] == pytest.approx(np.full(400, FLOOR))
