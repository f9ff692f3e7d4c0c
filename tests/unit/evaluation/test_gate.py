import json

import numpy as np
import pytest

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.estimators import Log
from rapport.evaluation.gate import Evidence, gate
from rapport.evaluation.verdict import TOO_LITTLE, GateSettings
from tests.unit.evaluation.logs import a_log, mostly

ARMS = ("question", "reflection", "suggestion")
QUICK = GateSettings(resamples=300)


def evidence(*, n=4000, gap=0.3, users=200, silent=0.0, **extra):
    log, logging, expected = a_log(n=n, users=users, gap=gap, silent=silent)
    return Evidence(log=log, q_hat=expected, arms=ARMS, **extra), logging


def row(verdict, group, estimator="dr"):
    return next(r for r in verdict.rows if (r.group, r.estimator) == (group, estimator))


def test_a_better_policy_with_data_is_promoted():
    found, _ = evidence()
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    assert verdict.promoted
    assert verdict.reasons == ()
    assert row(verdict, "overall", "snips").status == row(verdict, "overall").status == "passed"


def test_a_worse_policy_is_refused_and_no_amount_of_data_would_do():
    found, _ = evidence()
    verdict = gate(found, mostly(1, n=4000, arms=3), QUICK)
    assert not verdict.promoted
    assert any(reason.startswith("overall (dr)") for reason in verdict.reasons)
    assert verdict.needed_n is None


def test_the_logging_policy_is_not_better_than_itself():
    found, logging = evidence()
    verdict = gate(found, logging, QUICK)
    assert not verdict.promoted
    assert row(verdict, "overall").estimate == pytest.approx(0, abs=0.02)


def test_too_little_data_is_refused_with_how_much_would_do():
    found, _ = evidence(n=150, users=30)
    verdict = gate(found, mostly(0, n=150, arms=3), QUICK)
    assert not verdict.promoted
    assert any("effective sample" in reason for reason in verdict.reasons)
    assert verdict.needed_n is not None
    assert verdict.needed_n > 150


def test_a_persona_that_is_harmed_refuses_a_policy_that_is_better_overall():
    log, _, expected = a_log(n=6000, users=300)
    persona = np.where(log.user % 4 == 0, "dry", "warm")
    harmed = persona == "dry"
    expected[harmed, 0] -= 0.6
    reward = np.where(harmed & (log.action == 0), log.reward - 0.6, log.reward)
    found = Evidence(log.rewarded(reward), expected, ARMS, groups={"persona": persona})
    verdict = gate(found, mostly(0, n=6000, arms=3), QUICK)
    assert row(verdict, "overall").status == "passed"
    assert row(verdict, "persona/warm").status == "passed"
    assert row(verdict, "persona/dry").status == "failed"
    assert not verdict.promoted


def test_a_group_with_too_little_data_is_skipped_and_named():
    labels = np.array(["many"] * 3960 + ["few"] * 40)
    found, _ = evidence(groups={"persona": labels})
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    assert row(verdict, "persona/few").note == TOO_LITTLE
    assert verdict.too_little_data == ("persona/few",)
    assert verdict.promoted


def test_comparisons_without_data_are_reported_as_skipped():
    found, _ = evidence()
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    skipped = {r.group for r in verdict.rows if r.status == "skipped"}
    assert skipped == {"silence", "groups", "first release", "control"}


def test_control_users_and_the_first_release_are_held_against_the_candidate():
    control, _, _ = a_log(n=600, users=60, gap=0.0, seed=9)
    control = Log(control.action, control.reward + 0.6, control.propensity, control.user + 1000)
    found, logging = evidence(control=control, first=mostly(0, n=4000, arms=3, share=0.999))
    verdict = gate(found, logging, QUICK)
    assert row(verdict, "control").status == "failed"
    assert row(verdict, "first release").status == "failed"
    assert verdict.values["control"].value == pytest.approx(control.reward.mean())


def test_silence_that_would_turn_the_verdict_refuses():
    # Arm 0 looks .3 better among those who answer, and four of five who dislike it say nothing.
    log, _, expected = a_log(n=5000, users=250)
    rng = np.random.default_rng(1)
    hidden = (log.action == 0) & (rng.random(5000) < 0.5)
    silent = log.rewarded(np.where(hidden, np.nan, log.reward))
    verdict = gate(Evidence(silent, expected, ARMS), mostly(0, n=5000, arms=3), QUICK)
    assert row(verdict, "overall").status == "passed"
    assert row(verdict, "silence at worst").status == "failed"
    assert not verdict.promoted
    assert verdict.reporting_rates["question"] < 0.6 < verdict.reporting_rates["reflection"]
    assert verdict.reported == int((~hidden).sum())


def test_weights_over_the_limit_after_clipping_refuse():
    found, _ = evidence()
    strict = GateSettings(resamples=100, max_weight=1.5)
    verdict = gate(found, mostly(0, n=4000, arms=3), strict)
    assert any("largest weight" in reason for reason in verdict.reasons)


def test_sources_are_counted_and_not_judged():
    source = np.array(["simulation"] * 3900 + ["serve"] * 100)
    found, _ = evidence(source=source)
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    assert verdict.sources["serve"]["n"] == 100
    assert not any("source" in r.group for r in verdict.rows)


def test_wrong_propensities_and_a_new_generator_are_said():
    found, _ = evidence(new_generator=True)
    doubled = Log(found.log.action, found.log.reward, found.log.propensity / 2, found.log.user)
    lying = Evidence(doubled, found.q_hat, ARMS, new_generator=True)
    notes = gate(lying, mostly(0, n=4000, arms=3), QUICK).notes
    assert "another generator" in notes[0]
    assert "mean weight" in notes[1]


def test_the_verdict_is_plain_json():
    found, _ = evidence(silent=0.2, groups={"persona": np.arange(4000) % 2})
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert json.loads(text)["settings"]["margin"] == 0.02


def test_arrays_of_another_log_and_a_log_without_feedback_are_refused():
    found, logging = evidence()
    with pytest.raises(DataError, match="rows"):
        gate(found, logging[:10])
    silent = Evidence(found.log.rewarded(np.full(4000, np.nan)), found.q_hat, ARMS)
    with pytest.raises(TooLittleDataError):
        gate(silent, logging)
