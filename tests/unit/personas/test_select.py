import numpy as np
import pytest

from rapport.personas.select import choose_k


def blobs(k: int, *, each: int = 60, apart: float = 8.0):
    rng = np.random.default_rng(k)
    centres = apart * np.linalg.qr(rng.normal(size=(8, 8)))[0][:k]
    return np.concatenate([centre + rng.normal(size=(each, 8)) for centre in centres])


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_the_number_of_clear_groups_is_found(k):
    choice = choose_k(blobs(k), seed=0)
    assert choice.k == k
    assert set(choice.silhouette) == set(choice.stability) == set(range(2, 9))
    assert choice.stability[k] == pytest.approx(1.0, abs=0.02)


def test_without_a_direction_there_is_one_group():
    assert choose_k(np.zeros((100, 0)), seed=0).k == 1


def test_few_people_are_not_cut_into_crumbs():
    choice = choose_k(blobs(2, each=12), seed=0)
    assert max(choice.silhouette) == 2
    assert choose_k(blobs(2, each=3), seed=0).k == 1
