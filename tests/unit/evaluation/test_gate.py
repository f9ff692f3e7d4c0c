import json
from dataclasses import replace

import numpy as np
import pytest

from rapport.errors import DataError, TooLittleDataError
from rapport.evaluation.estimators import Log
from rapport.evaluation.evidence import Evidence
from rapport.evaluation.gate import gate
from rapport.evaluation.influence import equal_mean
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
    assert skipped == {"groups", "first release", "control"}
    assert not any(r.silence for r in verdict.rows)


def test_control_users_and_the_first_release_are_held_against_the_candidate():
    control, _, _ = a_log(n=600, users=60, gap=0.0, seed=9)
    control = Log(control.action, control.reward + 0.6, control.propensity, control.user + 1000)
    found, logging = evidence(control=control, first=mostly(0, n=4000, arms=3, share=0.999))
    verdict = gate(found, logging, QUICK)
    assert row(verdict, "control").status == "failed"
    assert row(verdict, "first release").status == "failed"
    mean = equal_mean(control.reward, control.user)
    assert verdict.values["control"].value == pytest.approx(mean)


def test_a_group_may_not_drift_from_the_first_release_though_the_average_holds():
    log, _, expected = a_log(n=6000, users=300)
    persona = np.where(log.user % 4 == 0, "dry", "warm")
    dry = persona == "dry"
    reward = np.where(dry & (log.action == 0), log.reward - 0.6, log.reward)
    expected[dry, 0] -= 0.6
    even = np.full((6000, 3), 1 / 3)
    first = np.where(dry[:, None], mostly(1, n=6000, arms=3), even)
    found = Evidence(log.rewarded(reward), expected, ARMS, groups={"persona": persona}, first=first)
    # The dry are left as they are, and before that were served better.
    target = np.where(dry[:, None], even, mostly(0, n=6000, arms=3))
    verdict = gate(found, target, QUICK)
    assert row(verdict, "persona/dry").status == "passed"
    assert row(verdict, "first release").status == "passed"
    assert row(verdict, "first release, persona/dry").status == "failed"
    assert row(verdict, "first release, persona/warm").status == "passed"


def test_a_first_release_that_the_log_says_too_little_of_is_told():
    far = mostly(0, n=4000, arms=3, share=1.0 - 1e-9)
    log, _, expected = a_log(n=4000, users=200)
    rare = np.where(np.arange(4000) % 20 == 0, log.action, 1)
    log = replace(log, action=rare, propensity=np.where(rare == 0, 0.001, 0.998))
    found = Evidence(log, expected, ARMS, {"persona": np.arange(4000) % 2}, first=far)
    verdict = gate(found, mostly(1, n=4000, arms=3), QUICK)
    told = row(verdict, "first release, persona/0")
    assert told.status == "skipped"
    assert "too far from the first release" in told.note
    assert "first release, persona/0" not in verdict.too_little_data


def silent_where(hidden, *, log):
    return log.rewarded(np.where(hidden, np.nan, log.reward))


def test_silence_that_would_turn_the_verdict_refuses():
    # Arm 0 looks .3 better among those who answer, and half of those who got it say nothing.
    log, _, expected = a_log(n=5000, users=250)
    hidden = (log.action == 0) & (np.random.default_rng(1).random(5000) < 0.5)
    found = Evidence(silent_where(hidden, log=log), expected, ARMS)
    verdict = gate(found, mostly(0, n=5000, arms=3), QUICK)
    overall = row(verdict, "overall")
    assert overall.low > 0 > overall.silence["at worst"].low
    assert overall.silence["weighted"].low > 0
    assert "turns with silence at worst" in overall.failure
    assert not verdict.promoted
    assert verdict.reporting_rates["question"] < 0.6 < verdict.reporting_rates["reflection"]
    assert verdict.reported == int((~hidden).sum())
    assert verdict.values["dr, silence at worst"].value < verdict.values["dr"].value


def test_silence_of_one_persona_turns_the_verdict_though_the_average_holds():
    log, _, expected = a_log(n=8000, users=400)
    persona = np.where(log.user % 4 == 0, "dry", "warm")
    quiet = (persona == "dry") & (log.action == 0)
    hidden = quiet & (np.random.default_rng(2).random(8000) < 0.6)
    found = Evidence(silent_where(hidden, log=log), expected, ARMS, groups={"persona": persona})
    verdict = gate(found, mostly(0, n=8000, arms=3), QUICK)
    assert row(verdict, "overall").status == "passed"
    assert row(verdict, "persona/dry").low > 0
    assert [reason.partition(":")[0] for reason in verdict.reasons] == ["persona/dry (dr)"]


def test_silence_that_has_nothing_to_do_with_the_arm_turns_nothing():
    found, _ = evidence(silent=0.15, groups={"persona": np.arange(4000) % 2})
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    assert verdict.promoted
    assert all(set(r.silence) == {"weighted", "at worst"} for r in verdict.rows if r.gains)


def test_a_persona_that_keeps_the_old_policy_is_not_judged():
    labels = np.array(["many"] * 3000 + ["few"] * 1000)
    found, logging = evidence(groups={"persona": labels}, kept=("persona/few",))
    target = np.where((labels == "few")[:, None], logging, mostly(0, n=4000, arms=3))
    verdict = gate(found, target, QUICK)
    assert verdict.promoted
    assert verdict.too_little_data == ("persona/few",)


def test_where_a_candidate_changes_nothing_its_gain_is_certain():
    labels = np.array(["same"] * 2000 + ["other"] * 2000)
    found, logging = evidence(groups={"persona": labels})
    target = np.where((labels == "same")[:, None], logging, mostly(0, n=4000, arms=3))
    same = row(gate(found, target, QUICK), "persona/same")
    assert (same.estimate, same.stderr) == (
        pytest.approx(0, abs=1e-12),
        pytest.approx(0, abs=1e-12),
    )


def test_the_empty_label_is_no_group():
    labels = np.array(["de"] * 2000 + [""] * 2000)
    found, _ = evidence(groups={"language": labels})
    verdict = gate(found, mostly(0, n=4000, arms=3), QUICK)
    assert [r.group for r in verdict.rows if "/" in r.group] == ["language/de"]


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
    found, _ = evidence()
    log = found.log
    doubled = Log(log.action, log.reward, log.propensity / 2, log.user)
    lying = Evidence(doubled, found.q_hat, ARMS, foreign=np.arange(4000) < 1000)
    verdict = gate(lying, mostly(0, n=4000, arms=3), GateSettings(resamples=300, drift=0.06))
    assert verdict.change == "policy and generator"
    assert verdict.generator == "alike"
    assert verdict.notes[0].startswith("1000 of 4000 replies come from another generator; under")
    assert "mean weight" in verdict.notes[1]
    assert gate(found, mostly(0, n=4000, arms=3), QUICK).change == "policy"


def test_weight_that_clipping_takes_is_said():
    log, _, expected = a_log(n=4000, users=200)
    verdict = gate(
        Evidence(log, expected, ARMS), mostly(0, n=4000, arms=3), GateSettings(resamples=50, clip=2)
    )
    assert any("clipping took" in note for note in verdict.notes)


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
