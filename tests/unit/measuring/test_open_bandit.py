import csv
import gzip
import io

import numpy as np
import pytest

from rapport.errors import ConfigError
from rapport.measuring.open_bandit import measure_open_bandit

ITEMS, ROWS = 5, 4000
RATES = np.array([0.05, 0.1, 0.15, 0.2, 0.4])
BTS = np.array([0.02, 0.08, 0.1, 0.2, 0.6])


def write(folder, policy, shares, *, seed, spoil=()):
    rng = np.random.default_rng(seed)
    items = rng.choice(ITEMS, ROWS, p=shares)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["", "timestamp", "item_id", "position", "click", "propensity_score"])
    for i, item in enumerate(items):
        score = "" if i in spoil else shares[item]
        click = int(rng.random() < RATES[item])
        rows.writerow([i, "2019-11-24", item, i % 3 + 1, click, score])
    place = folder / policy / "men"
    place.mkdir(parents=True)
    (place / "men.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))


def ends(found):
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_estimates_hold_the_truth_that_both_logs_know(tmp_path):
    write(tmp_path, "random", np.full(ITEMS, 1 / ITEMS), seed=0, spoil=(3, 4))
    write(tmp_path, "bts", BTS, seed=1)
    result = measure_open_bandit(tmp_path)
    assert (result.rows, result.skipped, result.n) == (2 * ROWS, 2, 2 * ROWS - 2)
    for name, value in (("random_to_bts/men", BTS @ RATES), ("bts_to_random/men", RATES.mean())):
        group = result.groups[name]
        assert group.refused is None
        for estimator in ("ips", "snips", "dr"):
            found = group.metrics[estimator]
            # Four standard errors of 4,000 rows: a 95 % interval is 3.92 of them wide.
            low, high = ends(found)
            assert abs(found.estimate - value) < high - low
        low, high = ends(group.metrics["snips_minus_on_policy"])
        assert low < 0 < high


def test_a_group_of_too_few_effective_rows_is_refused_without_intervals(tmp_path):
    rare = np.array([0.994, 0.0015, 0.0015, 0.001, 0.002])
    write(tmp_path, "random", rare, seed=0)
    write(tmp_path, "bts", np.array([0.02, 0.08, 0.1, 0.2, 0.6]), seed=1)
    result = measure_open_bandit(tmp_path)
    group = result.groups["random_to_bts/men"]
    assert group.refused is not None
    assert group.refused.startswith("effective sample")
    assert group.metrics["snips"].low is None
    assert result.refused
    told = result.to_json()["groups"]["random_to_bts/men"]
    assert told["refused"] == group.refused
    assert told["snips"]["high"] is None


def test_a_folder_that_is_no_open_bandit_says_so(tmp_path):
    with pytest.raises(ConfigError, match="with random/<campaign>"):
        measure_open_bandit(tmp_path)
    with pytest.raises(ConfigError, match="--data"):
        measure_open_bandit(tmp_path / "none")
