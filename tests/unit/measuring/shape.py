"""The object that every `rapport evaluate TASK --json` prints, held to one shape."""

from collections.abc import Mapping
from typing import Any

_KEYS = {"task", "data", "release", "n", "metrics", "groups", "notes"}
_OF_JUDGED = {"limit", "verdict", "base"}
"""What a measure that is held to a limit says beside."""


def assert_shaped(told: Mapping[str, Any], *, task: str) -> None:
    """Check names, types and that estimates lie in their intervals."""
    assert told.keys() == _KEYS
    assert told["task"] == task
    assert told["data"].keys() == {"path_name", "sha256", "rows", "skipped"}
    assert len(told["data"]["sha256"]) == 64
    assert told["data"]["rows"] >= told["data"]["skipped"] >= 0
    assert told["n"] > 0
    assert all(isinstance(note, str) for note in told["notes"])
    assert told["metrics"] or told["groups"]
    for metrics in (told["metrics"], *told["groups"].values()):
        for name, found in metrics.items():
            if name != "refused":
                _assert_measure(found)


def _assert_measure(found: Mapping[str, Any]) -> None:
    assert found.keys() - _OF_JUDGED == {"estimate", "low", "high", "n"}
    assert isinstance(found["estimate"], float)
    assert isinstance(found["n"], int)
    assert (found["low"] is None) == (found["high"] is None)
    if found["low"] is not None:
        assert found["low"] <= found["high"]
