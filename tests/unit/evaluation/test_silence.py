import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import AT_WORST, WEIGHTED
from rapport.evaluation.silence import AT_BEST, under_silence
from rapport.evaluation.valuation import Cuts, every_terms
from rapport.evaluation.verdict import OBSERVED
from tests.unit.evaluation.logs import a_log, mostly

NAN = float("nan")
CUTS = Cuts(clip=2.0, threshold=1.5)


def test_each_reading_by_hand():
    log = Log(
        action=np.array([0, 0, 1, 1]),
        reward=np.array([1.0, NAN, 0.5, 0.0]),
        propensity=np.full(4, 0.5),
        user=np.arange(4),
    )
    target = np.array([[0.8, 0.2]] * 4)
    read = under_silence(log, target, np.zeros((4, 2)))
    # Weights 1.6, 1.6, .4, .4; half of the first arm's decisions were answered.
    assert read[OBSERVED].ips().value == pytest.approx((1.6 + 0.2) / 3)
    assert read[WEIGHTED].ips().value == pytest.approx((2 * 1.6 + 0.2) / 4)
    assert read[AT_WORST].ips().value == pytest.approx((1.6 - 1.6 + 0.2) / 4)
    assert read[AT_BEST].ips().value == pytest.approx((1.6 + 1.6 + 0.2) / 4)
    # The model expected 0; half of the first arm's silence is filled: .8 * (.5 * -1).
    assert read[AT_WORST].direct().value == pytest.approx(-0.4)
    assert read[AT_BEST].direct().value == pytest.approx(0.4)


def test_a_log_without_silence_has_one_reading():
    log, _, expected = a_log()
    assert list(under_silence(log, mostly(0, n=400, arms=3), expected)) == [OBSERVED]


@given(seed=st.integers(0, 1000), silent=st.floats(0.05, 0.6))
@settings(max_examples=20, deadline=None)
def test_every_estimate_of_the_full_log_lies_between_worst_and_best(seed, silent):
    full, _, _ = a_log(n=200, users=20, seed=seed)
    hidden = np.random.default_rng(seed).random(200) < silent * (full.reward < 0.2)
    log = full.rewarded(np.where(hidden, NAN, full.reward))
    target = mostly(0, n=200, arms=3)
    read = under_silence(log, target)
    bounds = [every_terms(read[name], Cuts(2.0, None)) for name in (AT_WORST, AT_BEST)]
    truth = every_terms(under_silence(full, target)[OBSERVED], Cuts(2.0, None))
    if hidden.any():
        for name, terms in truth.items():
            assert bounds[0][name].value <= terms.value + 1e-12
            assert terms.value <= bounds[1][name].value + 1e-12


def test_weights_repair_silence_that_the_model_explains():
    full, _, expected = a_log(n=40_000, users=4000, gap=0.6)
    rng = np.random.default_rng(1)
    hidden = rng.random(40_000) < np.where(full.action == 0, 0.1, 0.7)
    log = full.rewarded(np.where(hidden, NAN, full.reward))
    target = mostly(0, n=40_000, arms=3, share=0.5)
    truth = (target * expected).sum(axis=1).mean()
    found = {
        name: every_terms(crossing, CUTS)["ips"].value
        for name, crossing in under_silence(log, target, expected).items()
    }
    assert abs(found[WEIGHTED] - truth) < 0.01 < abs(found[OBSERVED] - truth)
