import numpy as np
import pytest
import torch

from rapport.policy.bent import BentSettings, fit_bent, held_share

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 6)).astype(np.float32)
TEN_EACH = np.arange(1000) // 10
BEND = 0.6 * np.maximum(X[:, 0], 0.0) * (X[:, 1] > 0)


def fitted(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first network sees the first half alone, the second nothing."""
    counts = np.zeros((2000, 2))
    counts[:1000, 0] = 1.0
    torch.manual_seed(0)
    nothing = np.zeros((2000, 2), dtype=np.float32)
    held = 1.0 - counts[:, :1]
    bent, moved, told = fit_bent((X, y, nothing), counts, held, BentSettings(epochs=60))
    for passes, rows in zip(told, (slice(1000), slice(1000, None)), strict=True):
        assert len(passes) == 60
        assert passes[-1] == pytest.approx(((y - moved[:, 0])[rows] ** 2).mean(), rel=0.02)
    by_hand = np.maximum(X @ bent.hidden[0] + bent.hidden_bias[0], 0.0) @ bent.out[0]
    assert np.abs(np.tanh(by_hand) - moved[:, 0]).max() < 1e-5
    assert np.all(moved[:, 1] == 0.0)
    return moved[1000:, 0], y[1000:]


def test_a_bend_is_found_and_most_of_it_holds():
    moved, left = fitted(np.tanh(BEND) + 0.1 * RNG.normal(size=2000))
    assert np.corrcoef(moved, left)[0, 1] > 0.7
    assert held_share(moved, left, np.ones(1000), TEN_EACH) > 0.8
    assert held_share(moved, left, np.ones(1000), np.arange(1000)) > 0.8


def test_of_what_was_made_of_noise_little_holds():
    moved, left = fitted(RNG.normal(size=2000))
    assert moved.std() > 0.02
    assert held_share(moved, left, np.ones(1000), TEN_EACH) < 0.3


def test_what_tells_users_apart_but_not_what_they_are_shown_does_not_count():
    kind = RNG.normal(size=100)[TEN_EACH]
    liked = RNG.normal(size=1000)
    assert held_share(kind, kind + liked, np.ones(1000), TEN_EACH) == 0.0
    assert held_share(kind + liked, kind + liked, np.ones(1000), TEN_EACH) == 1.0
    assert held_share(3.0 * kind + liked, liked, np.ones(1000), TEN_EACH) > 0.99


def test_the_share_is_of_twice_the_users_and_never_outside_0_and_1():
    moved, ones, user = np.array([1.0, -1.0, 2.0, -2.0]), np.ones(4), np.array([0, 0, 2, 2])
    assert held_share(moved, 0.5 * moved, ones, user) == 2 * 0.5 / 1.5
    assert held_share(moved, 3.0 * moved, ones, user) == 1.0
    assert held_share(moved, -moved, ones, user) == 0.0
    assert held_share(np.zeros(4), moved, ones, user) == 0.0
    nothing = np.zeros(0)
    assert held_share(nothing, nothing, nothing, np.zeros(0, dtype=np.intp)) == 0.0
