import pytest

from rapport.evaluation.intervals import Estimate
from rapport.evaluation.verdict import Gain, Row, error_rates, judged, needed_rows

ENOUGH = {"ess": 500.0, "ess_floor": 200.0, "ess_needed": 200.0}


def a_row(*, status="failed", estimate=0.02, stderr=0.02, bound=0.0, group="overall", silence=None):
    return Row(
        group, "dr", status, n=1000, users=50, ess=300, estimate=estimate, stderr=stderr,
        low=estimate - 1.6449 * stderr, high=estimate + 1.6449 * stderr, bound=bound,
        silence=silence or {},
    )  # fmt: skip


def test_a_row_passes_when_its_lower_bound_exceeds_the_bound():
    found = Estimate(0.05, 0.02, low=0.01, high=0.09, n=10, users=5, ess=8.0, max_weight=2.0)
    assert judged("overall", "dr", {"observed": found}, bound=0.0).status == "passed"
    failed = judged("overall", "dr", {"observed": found}, bound=0.01)
    assert (failed.status, failed.failure) == (
        "failed", "lower bound 0.0100 is not above 0.01",
    )  # fmt: skip


def test_a_row_fails_when_another_reading_of_silence_turns_it():
    found = Estimate(0.05, 0.02, low=0.01, high=0.09, n=10, users=5, ess=8.0, max_weight=2.0)
    worst = Estimate(-0.01, 0.02, low=-0.05, high=0.09, n=12, users=5, ess=8.0, max_weight=2.0)
    row = judged("overall", "dr", {"observed": found, "at worst": worst}, bound=0.0)
    assert row.status == "failed"
    assert row.failure == "turns with silence at worst: lower bound -0.0500 is not above 0"
    assert (row.n, row.estimate) == (10, 0.05)
    # The filled estimate lies under the bound: more of the same log would not help.
    assert row.needed_share is None
    short = a_row(estimate=0.05, silence={"weighted": Gain(0.02, 0.02, -0.01, 0.05)})
    assert short.needed_share == pytest.approx(2.4865**2)


def test_the_chance_of_passing_by_what_is_true():
    row = a_row(stderr=0.02, bound=-0.02, group="persona/dry")
    assert row.chance(-0.02) == pytest.approx(0.05, abs=1e-4)
    assert row.chance(-0.02 + (1.6449 + 0.8416) * 0.02) == pytest.approx(0.8, abs=1e-4)
    unsure = a_row(stderr=0.02, bound=-0.02, silence={"at worst": Gain(0.0, 0.04, -0.06, 0.06)})
    assert unsure.chance(0.05) < row.chance(0.05)
    assert a_row(stderr=0.0).chance(0.01) == 1.0
    assert Row("groups", "dr", "skipped", n=0, users=0, ess=0.0).chance(0.0) is None


def test_the_share_of_data_needed_by_hand():
    # (1.6449 + .8416)^2 * (.02 / .02)^2 = 6.18 times the data.
    assert a_row().needed_share == pytest.approx(2.4865**2)
    assert a_row(estimate=0.0, bound=-0.02).needed_share == pytest.approx(2.4865**2)


def test_more_data_does_not_help_an_estimate_under_its_bound():
    assert a_row(estimate=-0.01).needed_share is None
    assert needed_rows([a_row(estimate=-0.01)], sample=ENOUGH, n=1000) is None


def test_needed_rows_take_the_hungriest_row_rounded_up_to_two_digits():
    rows = [a_row(), a_row(stderr=0.01), a_row(status="passed", stderr=9.0)]
    assert needed_rows(rows, sample=ENOUGH, n=1000) == 6200
    assert needed_rows([], sample=ENOUGH, n=1000) is None


def test_a_small_effective_sample_asks_for_proportionally_more():
    assert needed_rows([], sample={**ENOUGH, "ess": 50.0}, n=600) == 2400


def test_a_candidate_too_far_from_the_log_never_gets_its_share():
    far = {"ess": 250.0, "ess_floor": 200.0, "ess_needed": 300.0}
    assert needed_rows([], sample=far, n=30_000) is None


def test_error_rates_by_hand():
    rows = [a_row(stderr=0.02), a_row(group="persona/a", bound=-0.02, stderr=0.02)]
    rates = error_rates(rows)
    assert rates["false_promotion"] == 0.05
    assert rates["detectable_gain"] == pytest.approx(2.4865 * 0.02)
    # Passing with no effect needs a normal draw above 1.6449 - .02 / .02 = .6449: 26 %.
    assert rates["false_refusal"] == pytest.approx(1 - 0.2595, abs=1e-3)
