"""Estimates on the Open Bandit files beside their formulas, written out row by row."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from rapport.measuring.open_bandit import _PRIOR, measure_open_bandit

FOLDER = Path(__file__).parents[2] / "../shared/data/open_bandit"
Row = tuple[int, int, float, float]
"""Item, position, click, propensity."""


def rows_of(policy: str, campaign: str) -> list[Row]:
    with gzip.open(FOLDER / policy / campaign / f"{campaign}.csv.gz", "rt") as file:
        return [
            (int(r["item_id"]), int(r["position"]), float(r["click"]), float(r["propensity_score"]))
            for r in csv.DictReader(file)
        ]


def closed_form(here: list[Row], there: list[Row]) -> dict[str, float]:
    """IPS, SNIPS and DR of the other policy's shares by position, from this policy's rows."""
    places = Counter(position for _, position, _, _ in there)
    shown = Counter((item, position) for item, position, _, _ in there)
    items = 1 + max(item for item, _, _, _ in here + there)

    def share(item: int, position: int) -> float:
        return shown[item, position] / places[position]

    weight = [share(item, position) / score for item, position, _, score in here]
    earned = sum(w * click for w, (_, _, click, _) in zip(weight, here, strict=True))
    models = [model(here[1 - half :: 2], items) for half in (0, 1)]
    robust = 0.0
    for i, (item, position, click, _) in enumerate(here):
        q = models[i % 2]
        expected = sum(share(each, position) * q[each] for each in range(items))
        robust += expected + weight[i] * (click - q[item])
    n = len(here)
    return {"ips": earned / n, "snips": earned / sum(weight), "dr": robust / n}


def model(rows: list[Row], items: int) -> list[float]:
    """Clicks expected of each item, drawn to the mean of all."""
    mean = sum(click for _, _, click, _ in rows) / len(rows)
    shown, clicked = Counter(item for item, _, _, _ in rows), Counter[int]()
    for item, _, click, _ in rows:
        clicked[item] += int(click)
    return [(clicked[i] + _PRIOR * mean) / (shown[i] + _PRIOR) for i in range(items)]


@pytest.mark.skipif(not FOLDER.exists(), reason="Open Bandit is not at ../shared/data/open_bandit")
def test_estimates_equal_the_closed_form_and_the_truth_lies_within():
    found = measure_open_bandit(FOLDER)
    for name, group in found.groups.items():
        pair, campaign = name.split("/")
        here, there = (rows_of(policy, campaign) for policy in pair.split("_to_"))
        for estimator, value in closed_form(here, there).items():
            assert group.metrics[estimator].estimate == pytest.approx(value, abs=1e-9), name
        gap = group.metrics["snips_minus_on_policy"]
        assert gap.low is not None
        assert gap.high is not None
        assert gap.low < 0 < gap.high, name
        assert group.refused is None
