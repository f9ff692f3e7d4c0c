import json
import math

import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.language.discriminator import ReplyDiscriminator


def pairs(n, *, gap, seed=0):
    rng = np.random.default_rng(seed)
    other = rng.normal(size=(n, 3))
    return rng.normal(size=(n, 3)) + gap, other


def test_true_pairs_score_above_mismatched_ones():
    model = ReplyDiscriminator.fit(*pairs(300, gap=1.0), seed=0)
    true, other = pairs(300, gap=1.0, seed=1)
    assert model.predict(true).mean() > model.predict(other).mean() + 0.3
    # Two unit normals a distance sqrt(3) apart along the optimal axis: AUC = Phi(sqrt(3 / 2)).
    assert model.auc == pytest.approx(0.5 * (1 + math.erf(math.sqrt(3) / 2)), abs=4 * 0.5 / 10)


def test_scores_are_calibrated_on_even_classes():
    model = ReplyDiscriminator.fit(*pairs(2000, gap=0.5), seed=0)
    true, other = pairs(2000, gap=0.5, seed=2)
    scores = np.concatenate([model.predict(true), model.predict(other)])
    labels = np.repeat([1, 0], 2000)
    for low, high in ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8)):
        inside = (scores >= low) & (scores < high)
        stderr = 0.5 / math.sqrt(inside.sum())
        assert abs(labels[inside].mean() - scores[inside].mean()) < 4 * stderr


def test_noise_ranks_no_better_than_a_coin():
    model = ReplyDiscriminator.fit(*pairs(600, gap=0.0), seed=0)
    assert abs(model.auc - 0.5) < 4 * math.sqrt(1 / (6 * 200))


def test_it_survives_the_disk(tmp_path):
    model = ReplyDiscriminator.fit(*pairs(50, gap=1.0), seed=0)
    model.save(tmp_path / "d.json")
    features = pairs(5, gap=0.3)[0]
    again = ReplyDiscriminator.load(tmp_path / "d.json")
    assert np.array_equal(again.predict(features), model.predict(features))
    assert again == model


def test_its_curve_comes_from_pairs_it_was_not_fitted_on_and_keeps_its_word():
    model = ReplyDiscriminator.fit(*pairs(3000, gap=0.5), seed=0)
    assert sum(each.n for each in model.calibration) == 2 * 1000
    for each in model.calibration:
        stderr = math.sqrt(each.predicted * (1 - each.predicted) / each.n)
        assert abs(each.observed - each.predicted) < 5 * stderr


def test_one_saved_before_there_were_curves_is_read(tmp_path):
    model = ReplyDiscriminator.fit(*pairs(50, gap=1.0), seed=0)
    model.save(tmp_path / "d.json")
    older = json.loads((tmp_path / "d.json").read_text())
    del older["calibration"]
    (tmp_path / "d.json").write_text(json.dumps(older))
    assert ReplyDiscriminator.load(tmp_path / "d.json").calibration == ()


def test_too_few_pairs_are_refused():
    with pytest.raises(TooLittleDataError, match="19 rows"):
        ReplyDiscriminator.fit(*pairs(19, gap=1.0), seed=0)
