import pytest

from rapport.affect.channels import answered, reported
from rapport.affect.reward import changed, compute_rewards
from rapport.errors import ConfigError
from rapport.governance.feedback import BooleanMetric, FlagMetric, FloatMetric, TextMetric
from rapport.governance.tenants import load_tenants
from rapport.pipeline.rewards import paid_in
from tests.unit.affect.logs import LATER, NOW, conversation, frame, report, scores


@pytest.mark.parametrize(
    ("metric", "value", "channel", "said"),
    [
        (FloatMetric(low=0, high=10, channel="rating"), 10.0, "rating", 1.0),
        (FloatMetric(low=0, high=10, better="low", channel="outcome"), 10.0, "outcome", -1.0),
        (BooleanMetric(channel="outcome"), 1.0, "outcome", 1.0),
        (FlagMetric(channel="false_premise"), 1.0, "false_premise", -1.0),
        (FlagMetric(channel="reliance"), 0.0, "reliance", None),
    ],
)
def test_a_tenants_own_metric_says_on_its_channel_what_its_value_says(metric, value, channel, said):
    turns, (decision,) = conversation("low", "Why?")
    row = report(decision, "own", value, sentiment=metric.sentiment(value))
    feedback = paid_in(frame("feedback", [row]), {"own": metric})
    placed = answered(frame("decisions", [decision]), frame("turns", turns))
    assert reported(placed, feedback)[channel].to_list() == [said]


DECLARED = """
clinic:
  metrics:
    check_in: {kind: float, low: 0, high: 10, channel: outcome}
    referral: {kind: boolean}
    sold_out: {kind: flag, channel: reliance}
    reliance: {kind: rating}
"""


def test_a_tenants_own_check_in_and_referral_take_the_place_of_the_shipped_ones(tmp_path):
    file = tmp_path / "tenants.yaml"
    file.write_text(DECLARED)
    metrics = load_tenants(file)["clinic"].metrics
    turns, (decision,) = conversation("low", "See a doctor.")
    day = 24 * 60

    def earned(*rows, as_of=LATER):
        feedback = paid_in(frame("feedback", [*rows]), metrics)
        tables = frame("turns", turns), frame("decisions", [decision]), feedback
        return compute_rewards(*tables, scores(turns, {}), as_of=as_of)

    def said(metric, value, minutes):
        kind = metrics[metric]
        assert not isinstance(kind, TextMetric)
        told = {"decision_id": None, "sentiment": kind.sentiment(value)}
        return report(decision, metric, value, minutes=minutes, **told)

    at_once = earned(report(decision, "thumbs", 1.0), as_of=NOW)
    assert at_once["value"].to_list() == [1.0]
    rows = [report(decision, "thumbs", 1.0), said("check_in", 2.0, day)]
    # 2 of 10 is -.6; with the thumb the mean of both.
    reopened = changed(earned(*rows), at_once)
    assert reopened["value"].to_list() == [pytest.approx(0.2)]
    # What names no channel moves nothing, though a shipped metric of its name does.
    rows += [said("referral", 1.0, 2 * day), said("reliance", 1.0, 2 * day)]
    assert earned(*rows)["value"].to_list() == [pytest.approx(0.2)]
    # And a penalty that is paid in under another name is not taken for it.
    rows.append(said("sold_out", 1.0, 3 * day))
    assert dict(earned(*rows)["channels"].to_arrow().to_pylist()[0])["reliance"] == -1.0


def test_a_name_that_means_the_same_for_everybody_stays_taken(tmp_path):
    file = tmp_path / "tenants.yaml"
    file.write_text("clinic: {metrics: {rating: {kind: float, low: 0, high: 10}}}")
    with pytest.raises(ConfigError, match="'rating' is taken"):
        load_tenants(file)
