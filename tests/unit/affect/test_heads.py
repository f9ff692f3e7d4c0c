import numpy as np
import pytest

from rapport.affect.heads import Heads
from rapport.affect.lexical import lexical
from rapport.errors import ConfigError


def some_heads():
    kept = np.sort(np.unique(lexical(["yes"]).indices)).astype(np.int64)
    return Heads(
        kept=kept,
        lexical=np.tile(np.array([[10, -20]], dtype=np.int8), (len(kept), 1)),
        scale=np.array([0.1, 0.05], dtype=np.float32),
        intercept=np.array([[1.0, 2.0], [0.5, 0.0]], dtype=np.float32),
        vector=np.array([[1.0, 0.0], [0.0, -1.0], [2.0, 2.0]], dtype=np.float32),
    )


def test_a_score_is_the_sum_of_its_features_weights():
    heads = some_heads()
    values = lexical(["yes"], kept=heads.kept).sum()
    assert heads.scores(["yes", ""])[0] == pytest.approx([1 + values, 2 - values])
    assert heads.scores(["yes", ""])[1] == pytest.approx([1.0, 2.0])


def test_a_vector_adds_to_what_the_words_say():
    vectors = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], dtype=np.float32)
    added = some_heads().scores(["yes", "yes"], vectors) - some_heads().scores(["yes", "yes"])
    assert added.tolist() == [pytest.approx([1.5, 0.0]), pytest.approx([1.5, 0.5])]


@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (3,)])
def test_vectors_of_another_shape_are_refused(shape):
    with pytest.raises(ConfigError, match=r"\(1, 3\) is needed"):
        some_heads().scores(["yes"], np.zeros(shape, dtype=np.float32))


def test_without_a_vector_layer_vectors_are_left_aside():
    heads = some_heads().without_vectors()
    assert (heads.scores(["yes"], np.ones((1, 7), np.float32)) == heads.scores(["yes"])).all()


def test_arrays_rebuild_the_heads():
    heads, other = some_heads(), some_heads().without_vectors()
    arrays = {**heads.arrays("one"), **other.arrays("two")}
    again = Heads.from_arrays(arrays, "one")
    assert (again.kept == heads.kept).all()
    assert (again.scores(["yes"]) == heads.scores(["yes"])).all()
    assert len(Heads.from_arrays(arrays, "two").vector) == 0
    assert arrays["one.kept"].nbytes == 32 * 1024
