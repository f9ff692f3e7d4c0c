import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from rapport.affect.linear import each, fit_linear, one_of


def test_without_a_score_the_losses_are_logarithms_of_the_choices():
    scores, targets = np.zeros((1, 4), np.float32), np.eye(4, dtype=np.float32)[:1]
    assert each(scores, targets)[0].tolist() == [pytest.approx([np.log(2)] * 4)]
    assert one_of(scores, targets)[0].sum() == pytest.approx(np.log(4))
    assert each(scores, targets)[1].tolist() == [[-0.5, 0.5, 0.5, 0.5]]
    assert one_of(scores, targets)[1].tolist() == [[-0.75, 0.25, 0.25, 0.25]]


@given(
    arrays(np.float64, (2, 3), elements=st.floats(-4, 4)),
    st.sampled_from([each, one_of]),
    st.integers(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_slopes_are_those_of_the_losses(scores, loss, hot):
    targets = np.eye(3)[[hot, 0]]
    step = 1e-5
    for place in np.ndindex(scores.shape):
        moved = scores.copy()
        moved[place] += step
        numeric = (loss(moved, targets)[0].sum() - loss(scores, targets)[0].sum()) / step
        assert loss(scores, targets)[1][place] == pytest.approx(numeric, abs=1e-3)


def test_without_features_that_tell_the_intercept_is_the_log_odds():
    targets = np.array([[1.0], [1.0], [1.0], [0.0]], np.float32)
    matrix, intercept = fit_linear(
        np.zeros((4, 2), np.float32), targets, loss=each, l2=1.0, steps=50
    )
    assert intercept[0] == pytest.approx(np.log(3), abs=1e-3)
    assert np.abs(matrix).max() == 0


def test_a_share_is_recovered_as_a_share():
    targets = np.full((50, 1), 0.3, np.float32)
    _, intercept = fit_linear(np.zeros((50, 1), np.float32), targets, loss=each, l2=1.0, steps=50)
    assert 1 / (1 + np.exp(-intercept[0])) == pytest.approx(0.3, abs=1e-3)


def test_sparse_and_dense_features_give_the_same_model():
    rng = np.random.default_rng(0)
    features = (rng.random((80, 6)) < 0.4).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(3, size=80)]
    dense = fit_linear(features, targets, loss=one_of, l2=0.5, steps=60)
    thin = fit_linear(sparse.csr_matrix(features), targets, loss=one_of, l2=0.5, steps=60)
    assert np.abs(dense[0] - thin[0]).max() < 1e-3


def test_what_an_offset_explains_is_not_learned_again():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(400, 1)).astype(np.float32)
    truth = (rng.random((400, 1)) < 1 / (1 + np.exp(-2 * features))).astype(np.float32)
    alone, _ = fit_linear(features, truth, loss=each, l2=0.1, steps=50)
    after, _ = fit_linear(features, truth, loss=each, offset=2 * features, l2=0.1, steps=50)
    assert alone[0, 0] == pytest.approx(2.0, abs=0.6)
    assert after[0, 0] == pytest.approx(alone[0, 0] - 2.0, abs=0.05)


def test_a_higher_penalty_gives_smaller_weights():
    features = np.eye(4, dtype=np.float32)
    targets = np.eye(4, dtype=np.float32)
    sizes = [
        np.abs(fit_linear(features, targets, loss=one_of, l2=l2, steps=50)[0]).max()
        for l2 in (0.01, 0.1, 1.0)
    ]
    assert sizes == sorted(sizes, reverse=True)
