import pytest

from rapport.affect.channels import answered, reported
from rapport.governance.feedback import BooleanMetric, FlagMetric, FloatMetric
from rapport.pipeline.rewards import paid_in
from tests.unit.affect.logs import conversation, frame, report


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
