from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rapport.errors import ConfigError, TooLittleDataError
from rapport.evaluation.power import Power, of_candidate, of_halves
from rapport.evaluation.verdict import Gain, Row

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_detectable_and_needed_by_hand():
    # (1.6449 + .8416) * .02 = .0497; half that effect needs four times the data.
    power = Power("overall", n=1000, users=100, stderr=0.02)
    assert power.detectable == pytest.approx(0.04973)
    assert power.needed(power.detectable) == 1000
    assert power.needed(power.detectable / 2) == 4000


def test_a_date_from_the_rate():
    power = Power("overall", n=1000, users=100, stderr=0.02)
    half = power.detectable / 2
    assert power.decidable(half, since=NOW, per_day=30) == NOW + timedelta(days=100)
    assert power.decidable(power.detectable, since=NOW, per_day=0) == NOW
    assert power.decidable(half, since=NOW, per_day=0) is None
    assert power.decidable(half / 100, since=NOW, per_day=1) is None


def test_an_effect_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="above 0"):
        Power("overall", n=10, users=5, stderr=0.1).needed(0.0)


def test_the_least_sure_reading_of_silence_counts():
    row = Row(
        "persona/a", "dr", "passed", n=50, users=20, ess=40.0, estimate=0.1, stderr=0.01,
        low=0.0, high=0.2, bound=-0.02, silence={"at worst": Gain(0.1, 0.03, 0.0, 0.2)},
    )  # fmt: skip
    assert [(p.group, p.stderr) for p in of_candidate([row])] == [("persona/a", 0.03)]


def test_other_rows_than_groups_are_left_out():
    rows = [
        Row("control", "dr", "passed", n=5, users=5, ess=5.0, estimate=0.1, stderr=0.1,
            low=0.0, high=0.2, bound=-0.04),
        Row("persona/a", "dr", "skipped", n=5, users=5, ess=5.0),
    ]  # fmt: skip
    assert of_candidate(rows) == []


def test_the_detectable_gain_of_halves_shows_in_four_cases_of_five():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(200), 5).astype(str)
    treated = np.repeat(np.arange(200) % 2 == 0, 5)

    def a_log():
        return rng.normal(0, 0.3, 200).repeat(5) + rng.normal(0, 0.4, 1000)

    power = of_halves("overall", a_log(), users)
    seen = 0
    for _ in range(400):
        reward = a_log() + power.detectable * treated
        means = reward.reshape(200, 5).mean(axis=1)
        ours, theirs = means[::2], means[1::2]
        error = np.sqrt(ours.var(ddof=1) / 100 + theirs.var(ddof=1) / 100)
        seen += ours.mean() - theirs.mean() > 1.6449 * error
    # The standard error itself is estimated from 200 users (about 5 %), which moves .80 by .04;
    # 400 repetitions add .02.
    assert abs(seen / 400 - 0.8) < 0.1


def test_one_user_proves_nothing():
    with pytest.raises(TooLittleDataError):
        of_halves("overall", np.zeros(3), np.array(["a", "a", "a"]))
