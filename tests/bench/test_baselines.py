"""Every benchmark has a baseline that names when, where and with what it was measured."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.bench.__main__ import HERE, NAMES, fallen


def test_every_benchmark_has_a_program_and_every_baseline_a_benchmark():
    assert {path.stem for path in HERE.glob("*.json")} <= set(NAMES)
    assert all((HERE / f"{name}.py").exists() for name in NAMES)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.json")), ids=lambda path: path.stem)
def test_a_baseline_names_date_machine_and_versions_and_compares(path: Path):
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert date.fromisoformat(kept["date"]) >= date(2026, 11, 1)
    assert "cores" in kept["machine"]
    assert kept["python"]
    assert all(kept["versions"].values())
    assert len({row["what"] for row in kept["rows"]}) == len(kept["rows"]) > 0
    assert all(row["ratio"] > 0 and row["n"] > 0 for row in kept["rows"])


def test_a_ratio_that_fell_is_told_and_others_are_not():
    before = {"date": "2026-11-26", "rows": [{"what": w, "ratio": 1.0} for w in ("slow", "fine")]}
    now = {"rows": [{"what": w, "ratio": r} for w, r in (("slow", 0.6), ("fine", 0.8), ("new", 0))]}
    assert fallen(now, before) == ["slow: 0.60 of its peer's rate, 1.00 on 2026-11-26"]
