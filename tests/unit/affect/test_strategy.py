import numpy as np
import pytest

from rapport.affect.strategy import StrategyScorer
from rapport.errors import ConfigError, TooLittleDataError
from tests.unit.affect.replies import TEMPLATES, replies, unit_vectors


@pytest.fixture(scope="module")
def scorer():
    return StrategyScorer.fit(*replies(300), seed=0)


def test_arms_are_recovered_from_replies_on_the_same_templates(scorer):
    texts, arms = replies(200, seed=1)
    found = [scorer.arms[index] for index in scorer.predict(texts).argmax(axis=1)]
    assert np.mean([one == other for one, other in zip(found, arms, strict=True)]) > 0.98
    assert scorer.accuracy > 0.98


def test_columns_are_the_arms_by_name_and_rows_sum_to_one(scorer):
    probability = scorer.predict(["How are you?", "", "zzz"])
    assert scorer.arms == tuple(sorted(TEMPLATES))
    assert probability.shape == (3, 3)
    assert probability.dtype == np.float64
    assert probability.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-12)


def test_labels_that_mean_nothing_are_recovered_as_often_as_by_chance():
    texts, _ = replies(600)
    arms = np.random.default_rng(7).choice(["a", "b"], size=600).tolist()
    # A fair guess stays within 4 * sqrt(.25 / 600) of a half.
    assert abs(StrategyScorer.fit(texts, arms).accuracy - 0.5) < 0.085


def test_vectors_are_used_where_they_were_given_and_checked():
    vectors = unit_vectors(300)
    arms = np.where(vectors[:, 0] > 0, "up", "down").tolist()
    scorer = StrategyScorer.fit(["the same reply"] * 300, arms, vectors)
    new = unit_vectors(100, seed=1)
    found = scorer.predict(["the same reply"] * 100, new)[:, scorer.arms.index("up")]
    assert ((found > 0.5) == (new[:, 0] > 0)).mean() > 0.9
    with pytest.raises(ConfigError):
        scorer.predict(["the same reply"], unit_vectors(1, dim=5))


def test_a_saved_scorer_predicts_the_same(scorer, tmp_path):
    texts, _ = replies(20, seed=2)
    scorer.save(tmp_path / "strategies")
    again = StrategyScorer.load(tmp_path / "strategies")
    assert (again.predict(texts) == scorer.predict(texts)).all()
    assert (again.arms, again.accuracy) == (scorer.arms, scorer.accuracy)


def test_one_arm_alone_teaches_nothing():
    with pytest.raises(TooLittleDataError, match="arms in the log"):
        StrategyScorer.fit(["a reply"] * 50, ["question"] * 50)
