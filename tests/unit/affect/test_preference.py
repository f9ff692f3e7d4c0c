import numpy as np
import pytest

from rapport.affect.choice import accuracy, macro_f1
from rapport.affect.preference import confusion, preference_bias

PUBLISHED = np.array(
    [
        [36, 10, 37, 9, 118, 59, 1, 6],
        [22, 5, 14, 8, 32, 28, 0, 2],
        [20, 3, 38, 7, 67, 37, 1, 11],
        [22, 2, 17, 37, 59, 50, 9, 7],
        [31, 7, 23, 19, 135, 67, 3, 10],
        [10, 4, 21, 13, 97, 97, 13, 3],
        [12, 4, 14, 11, 54, 63, 14, 12],
        [5, 0, 6, 2, 39, 14, 2, 32],
    ]
)
"""What was right (rows) and what a model chose (columns) in the 1,611 choices that the authors of
the measure publish (`results.json` of github.com/1eastar/EmotionalSupport), counted."""


def _published(table: list[list[int]]) -> float:
    """The published loop, one number at a time."""
    kinds = len(table)
    p = [1.0] * kinds
    for _ in range(20):
        for i in range(kinds):
            won = sum(table[i][j] * (p[j] / (p[i] + p[j])) for j in range(kinds) if j != i)
            lost = sum(table[j][i] * (1 / (p[i] + p[j])) for j in range(kinds) if j != i)
            p[i] = won / lost
        product = 1.0
        for one in p:
            product *= one
        p = [one / product ** (1 / kinds) for one in p]
    total = sum(p)
    return float(np.std([one * kinds / total for one in p]))


def test_it_is_the_published_measure():
    generator = np.random.default_rng(0)
    tables = generator.integers(1, 90, size=(20, 8, 8)) + 60 * np.eye(8, dtype=int)
    expected = [_published(table.tolist()) for table in tables]
    assert preference_bias(tables.astype(float)) == pytest.approx(expected, abs=1e-12)


def test_it_gives_what_its_authors_code_gives_for_their_own_choices():
    counts = PUBLISHED.T.astype(float)
    assert preference_bias(counts) == pytest.approx(0.76658, abs=5e-6)
    assert macro_f1(counts) == pytest.approx(0.21890, abs=5e-6)
    assert accuracy(counts) == pytest.approx(0.24457, abs=5e-6)


def test_two_strategies_by_hand():
    # Chosen 3 times where the other was right, missed once: strengths 3 to 1, scaled 1.5 and .5.
    counts = np.array([[5.0, 3.0], [1.0, 9.0]])
    assert preference_bias(counts) == pytest.approx(0.5, abs=1e-6)


def test_who_errs_evenly_prefers_nothing():
    assert preference_bias(np.full((8, 8), 7.0)) == pytest.approx(0)
    assert preference_bias(np.eye(8)) == pytest.approx(0)


def test_one_that_is_never_chosen_has_no_strength():
    truth = np.repeat(np.arange(3), 10)
    chosen = np.where(truth == 2, 0, truth)
    chosen[0] = 1
    bias = preference_bias(confusion(chosen, truth, kinds=3))
    assert np.isfinite(bias)
    assert bias > 0.5
