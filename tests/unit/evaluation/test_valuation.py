import numpy as np
import pytest

from rapport.errors import TooLittleDataError
from rapport.evaluation import Bootstrap, Cuts, valuation, valuations
from rapport.evaluation.estimators import Crossing
from tests.unit.evaluation.logs import a_log, mostly

BY = Bootstrap(resamples=200)
ALL = {"ips", "clipped", "snips", "logging", "dm", "dr", "sndr", "switch_dr"}


def test_every_estimate_holds_the_truth_and_carries_its_sample():
    log, _, expected = a_log(n=6000, users=600)
    target = mostly(0, n=6000, arms=3)
    found = valuation(log, target, expected, by=BY)
    assert found.estimates["observed"].keys() == ALL
    truth = (target * expected).sum(axis=1).mean()
    for name in ALL - {"logging", "dm", "clipped"}:
        each = found.estimates["observed"][name]
        # Twice the half width of a 95 % interval is four standard errors.
        assert abs(each.value - truth) < each.high - each.low, name
    assert (found.n, found.reported, found.users) == (6000, 6000, 600)
    assert found.overlap == pytest.approx(1.0)
    assert found.doubts == ()
    weight = Crossing(log, target).weight
    assert found.ess == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert found.max_weight == weight.max()


def test_the_interval_of_a_biased_estimate_reaches_the_unbiased_one():
    log, _, expected = a_log(n=6000, users=600)
    target = mostly(0, n=6000, arms=3)
    found = valuation(log, target, expected + 0.3, cuts=Cuts(1.0, 0.0), by=BY)
    every = found.estimates["observed"]
    for name, whole in {"clipped": "ips", "dm": "dr", "switch_dr": "dr"}.items():
        assert every[name].low <= every[whole].low
        assert every[name].high >= every[whole].high
    # The model is .3 too high everywhere, and so are both that rest on it alone.
    assert every["dm"].value - every["dr"].value == pytest.approx(0.3, abs=0.05)


def test_an_interval_does_not_shrink_to_a_point_where_the_cut_cuts_nothing():
    log, _, expected = a_log(n=600, users=60)
    found = valuation(log, mostly(0, n=600, arms=3), expected, cuts=Cuts(99.0, 99.0), by=BY)
    every = found.estimates["observed"]
    assert (every["clipped"].low, every["clipped"].high) == (every["ips"].low, every["ips"].high)
    assert every["switch_dr"].high - every["switch_dr"].low > 0.01


def test_given_cuts_are_used_and_a_missing_model_leaves_its_estimators_out():
    log, _, _ = a_log(n=600, users=60)
    target = mostly(0, n=600, arms=3)
    found = valuation(log, target, cuts=Cuts(1.2, None), by=BY)
    assert found.estimates["observed"].keys() == {"ips", "clipped", "snips", "logging"}
    clipped = Crossing(log, target).ips(clip=1.2).value
    assert found.estimates["observed"]["clipped"].value == clipped


def test_silence_is_read_in_every_way_for_every_estimator():
    log, _, expected = a_log(n=600, users=60, silent=0.3)
    found = valuation(log, mostly(0, n=600, arms=3), expected, by=BY)
    assert list(found.estimates) == ["observed", "weighted", "at worst", "at best"]
    assert all(each.keys() == ALL for each in found.estimates.values())
    assert found.reported < found.n == 600


def test_groups_are_valued_by_themselves_and_thin_ones_are_doubted():
    log, _, expected = a_log(n=3000, users=300)
    target = mostly(0, n=3000, arms=3)
    labels = np.where(log.user < 280, "many", "few")
    labels[log.user == 299] = "one"
    found = valuations(log, target, expected, labels=labels, by=BY)
    assert found.keys() == {"many", "few"}
    assert found["many"].doubts == ()
    assert found["few"].doubts[0].startswith("effective sample")
    rows = labels == "many"
    alone = Crossing(log.rows(rows), target[rows], expected[rows]).dr().value
    assert found["many"].estimates["observed"]["dr"].value == pytest.approx(alone)


def test_one_user_with_feedback_is_too_few():
    log, _, _ = a_log(n=50, users=10)
    quiet = log.rewarded(np.where(log.user == 3, log.reward, np.nan))
    with pytest.raises(TooLittleDataError, match="users with feedback"):
        valuation(quiet, mostly(0, n=50, arms=3))
