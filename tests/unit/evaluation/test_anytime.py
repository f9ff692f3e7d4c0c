import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import DataError
from rapport.evaluation.anytime import gap_sequence, mean_sequence


def test_the_first_bound_by_hand():
    # One value of .5, that is x = .75: m = .5, s = .25, ln(2 / .05) = 3.689; the bet is capped at
    # 1/2, so half the width is (3.689 + .25^2 (ln 2 - .5)) / .5 = 7.40 in x: nothing is excluded.
    found = mean_sequence(np.array([0.5]))
    assert (found.low[0], found.high[0]) == (-1.0, 1.0)


def test_a_later_bound_by_the_formula_written_out():
    x = np.random.default_rng(0).random(400)
    cost, staked, won, paid = np.log(2 / 0.05), 0.0, 0.0, 0.0
    low = []
    for t, value in enumerate(x, start=1):
        seen = x[: t - 1]
        mean = (0.5 + seen.sum()) / t
        running = [(0.5 + x[: i + 1].sum()) / (i + 2) for i in range(t - 1)]
        spread = (0.25 + ((seen - np.array(running)) ** 2).sum()) / t
        bet = min(np.sqrt(2 * cost / (spread * t * np.log(1 + t))), 0.5)
        staked, won = staked + bet, won + bet * value
        paid += (value - mean) ** 2 * (-np.log(1 - bet) - bet)
        low.append(won / staked - (cost + paid) / staked)
    found = mean_sequence(2 * x - 1)
    assert found.low[-1] == pytest.approx(2 * max(low) - 1)


@given(st.lists(st.floats(-1, 1), max_size=50), st.floats(0.5, 0.99))
def test_bounds_only_narrow_and_stay_in_range(values, level):
    found = mean_sequence(np.array(values), level=level)
    assert len(found.low) == len(found.high) == len(values)
    assert np.all(np.diff(found.low) >= 0)
    assert np.all(np.diff(found.high) <= 0)
    assert np.all((found.low >= -1) & (found.high <= 1))


def test_it_says_when_the_truth_was_sure_to_lie_above_or_below():
    found = mean_sequence(np.full(200, 0.9))
    when = found.first(above=0.0)
    assert when is not None
    assert found.low[when - 1] > 0.0 >= found.low[when - 2]
    assert found.first(below=0.0) is None
    assert mean_sequence(np.full(200, -0.9)).first(below=0.0) == when
    with pytest.raises(DataError, match="no bound"):
        found.first()


def test_the_gain_of_a_treatment_is_found_and_none_is_not():
    rng = np.random.default_rng(1)
    treated = rng.random(20_000) < 0.2
    value = np.clip(0.3 * rng.normal(size=20_000) + 0.2 * treated, -1, 1)
    found = gap_sequence(value, treated, share=0.2)
    assert found.low[-1] < 0.2 < found.high[-1]
    assert found.first(above=0.0) is not None
    assert gap_sequence(value - 0.2 * treated, treated, share=0.2, low=-1.2).first(above=0) is None


def test_what_was_not_assumed_is_refused():
    with pytest.raises(DataError, match="not in -1 to 1"):
        mean_sequence(np.array([0.0, 1.5]))
    with pytest.raises(DataError, match="not in -1 to 1"):
        mean_sequence(np.array([np.nan]))
    with pytest.raises(DataError, match="not in -1 to 1"):
        gap_sequence(np.array([2.0]), np.array([True]), share=0.5)
    with pytest.raises(DataError, match="share"):
        gap_sequence(np.zeros(2), np.array([True, True]), share=1.0)
