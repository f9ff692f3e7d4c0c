"""The gate catches a policy that is better on average and harms one persona; the truth is known."""

import pytest

from rapport.cli.caught import catch_lines, catch_rows
from rapport.evaluation.verdict import GateSettings
from rapport.pipeline.catching import AVERAGE, GAIN, HARM, catch_harm
from tests.statistics.report import say
from tests.statistics.simulated_log import world


def caught(seed, *, users):
    found = world(seed, users=users)
    catch = catch_harm(found.data, found.expected, settings=GateSettings(resamples=300, seed=seed))
    for line in catch_lines(catch):
        say(f"seed {seed}: {line}")
    return catch


def check(catch):
    honest, harmful = catch.honest, catch.harmful
    assert honest.true[AVERAGE] == pytest.approx(GAIN, abs=1e-6)
    assert harmful.true[AVERAGE] == pytest.approx(GAIN, abs=1e-6)
    assert harmful.true[catch.victim] == pytest.approx(-HARM, abs=1e-6)
    assert harmful.row(AVERAGE).status == "passed"
    assert harmful.row(catch.victim).status == "failed"
    assert not harmful.verdict.promoted
    assert honest.verdict.promoted, honest.verdict.reasons


def test_from_one_log_the_honest_gain_is_promoted_and_the_planted_harm_refused():
    catch = caught(1, users=500)
    check(catch)
    honest, harmful = catch_lines(catch)
    assert honest.startswith("honest   average +.0")
    assert "-> promoted" in honest
    assert f", {catch.victim} -.0" in harmful
    assert "-> REFUSED  (true: +.03, -.05)" in harmful
    assert len(catch_rows(catch)) == 2 * (1 + 4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_it_does_so_in_every_world(seed):
    check(caught(seed, users=1500))
