import numpy as np
import pytest

from rapport.affect.held_out import HeldOut
from rapport.measuring.agreement import draws
from rapport.measuring.choices import NONE, Choices, Known, calibration_error, measures, values


def _choices(chosen, peer, truth, groups=None):
    n = len(truth)
    groups = np.arange(n) if groups is None else np.array(groups)
    probability = np.eye(2)[np.array(chosen)]
    return Choices(groups, np.array(truth), np.array(chosen), np.array(peer), probability)


def test_accuracy_and_f1_by_hand_and_beside_the_peer():
    choices = _choices([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1])
    found = values(choices, np.ones((1, 4)), biased=True)
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["accuracy_tfidf"] == pytest.approx(0.5)
    assert found["accuracy_minus_tfidf"] == pytest.approx(0.25)
    assert "preference_bias" in found


def test_the_peer_is_compared_on_the_rows_it_was_fitted_for():
    choices = _choices([0, 1, 1, 1], [0, 1, NONE, NONE], [0, 1, 0, 0])
    found = values(choices, np.ones((1, 4)), biased=False)
    assert found["accuracy"] == pytest.approx(0.5)
    assert found["accuracy_minus_tfidf"] == pytest.approx(0)
    alone = _choices([0, 1], [NONE, NONE], [0, 1])
    assert set(values(alone, np.ones((1, 2)), biased=False)) == {"accuracy", "macro_f1"}


def test_intervals_draw_whole_groups():
    # One group right, one wrong: an interval over 200 rows would be narrow, over 2 groups it is not
    choices = _choices([0] * 200, [NONE] * 200, [0] * 100 + [1] * 100, [0] * 100 + [1] * 100)
    found = measures(values(choices, draws(2), biased=False), choices)
    assert (found["accuracy"].low, found["accuracy"].high) == (0, 1)


def test_confidence_that_is_kept_has_no_error():
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, size=20_000)
    truth = (generator.random(20_000) > sure).astype(int)
    kept = np.column_stack([sure, 1 - sure])
    assert calibration_error(kept, truth) < 0.02
    boast = np.column_stack([np.full(20_000, 0.99), np.full(20_000, 0.01)])
    assert calibration_error(boast, truth) == pytest.approx(0.24, abs=0.02)


def test_rows_are_found_by_their_hash_wherever_they_stand():
    held = HeldOut(
        rows=np.array([7, 3, 9], np.uint64),
        groups=np.arange(3),
        truth=np.zeros((3, 1), np.int64),
        probability=np.zeros((3, 1, 2)),
        chosen=np.zeros((3, 1), np.int64),
        peer=np.zeros((3, 1), np.int64),
    )
    known = Known.of(np.array([9, 4, 7, 3, 2**63], np.uint64), held)
    assert known.place.tolist() == [2, NONE, 0, 1, NONE]
    assert known.there.tolist() == [True, False, True, True, False]
